"""What a sitting at the machine has: its devices, and a person or a log to tell about progress."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable

import jax
from tqdm import tqdm

from ordinal_blast.errors import UsageError
from ordinal_blast.ranges import check, whole
from ordinal_blast.study.tracking import Tracker, Trackers
from ordinal_blast.training import compilation
from ordinal_blast.training.selection import Line


class Progress:
    """A bar with the remaining time on a terminal; elsewhere one plain line for each finished thing."""

    def __init__(self) -> None:
        self.tracker: Tracker = Trackers({}, self.say)
        self._bar: tqdm | None = None
        self._begun = time.perf_counter()
        self._worked = self._done = 0
        self._total = 0
        self._label = ""

    def start(self, total: int) -> None:
        """Begin `total` cells."""
        self._total, self._done = total, 0
        if sys.stderr.isatty():
            form = "{percentage:3.0f}%|{bar:24}| {n:.1f}/{total} cells, {remaining} left {postfix}"
            self._bar = tqdm(total=total, bar_format=form, dynamic_ncols=True)

    def cell(self, label: str) -> None:
        """The next cell begins."""
        self._label = label

    def epoch(self, stage: str) -> Callable[[int, int, Line], None]:
        """What the training loop of a stage of the present cell is to tell after each epoch."""
        first, label = True, self._label

        def tell(epoch: int, epochs: int, line: Line) -> None:
            nonlocal first
            if first and epoch > 1:
                self.say(f"  {label} {stage}: goes on after epoch {epoch - 1}")
            first = False
            self.tracker.epoch(label, stage, line)
            losses = f"loss {line['train_loss']:.4f}, validation {line['val_loss']:.4f}"
            self._show(f"{label} {stage} epoch {epoch}/{epochs} {losses}")
            if epoch == epochs:
                self.say(f"  {label} {stage}: {epochs} epoch{'s' if epochs > 1 else ''}, {losses}")

        return tell

    def note(self, what: str, done: int, total: int) -> None:
        """Part of a stage is done."""
        self._show(f"{what} {done}/{total}")
        if done == total:
            self.say(f"  {what}: {total} done")

    def finish(self, text: str) -> None:
        """A cell is done, or skipped, or failed, as `text` says."""
        self._done += 1
        if self._bar is not None:
            self._bar.update(self._done - self._bar.n)
        left = ""
        self._worked += self._label != ""
        if self._worked > 0 and self._done < self._total:
            seconds = (time.perf_counter() - self._begun) / self._worked * (self._total - self._done)
            left = f", about {_duration(seconds)} left"
        self.say(f"[{self._done}/{self._total}] {text}{left}")

    def say(self, text: str) -> None:
        """One line that stays."""
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _show(self, text: str) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(text)


@dataclasses.dataclass(frozen=True)
class Session:
    """The devices that work, and the progress that is told."""

    devices: tuple[jax.Device, ...]
    progress: Progress


def begin(devices: int, compiled: str = "") -> Session:
    """A session on the first `devices` local devices, 0 for all; raises UsageError where there are not as many.

    compiled: the folder that keeps compiled programs for the next session, see `compilation.keep`.
    """
    check("devices", devices, whole(0))
    local = jax.local_devices()
    if devices > len(local):
        raise UsageError(f"devices is {devices}, but this machine has {len(local)} ({local[0].device_kind})")
    compilation.keep(compiled)
    return Session(tuple(local[: devices or None]), Progress())


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    return f"{seconds:.0f} s" if minutes < 1.5 else f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
