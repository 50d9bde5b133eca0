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
from ordinal_blast.study import status
from ordinal_blast.study.tracking import Tracker, Trackers
from ordinal_blast.training import compilation
from ordinal_blast.training.selection import Line


class Progress:
    """A bar with the remaining time on a terminal; elsewhere one plain line for each finished thing."""

    def __init__(self) -> None:
        self.tracker: Tracker = Trackers({}, self.say)
        self._bar: tqdm | None = None
        self._begun = time.perf_counter()
        self._total = self._trainings = self._done = self._trained = 0
        self._label = self._where = ""

    def start(self, total: int, trainings: int) -> None:
        """Begin `total` cells; trainings: how many of them take time, for what was trained before takes none."""
        self._total, self._trainings, self._done = total, trainings, 0
        if sys.stderr.isatty():
            form = "{percentage:3.0f}%|{bar:24}| {n_fmt}/{total_fmt} cells{desc} {postfix}"
            self._bar = tqdm(total=total, bar_format=form, dynamic_ncols=True)

    def cell(self, label: str, where: str = "") -> None:
        """The next cell begins; where: what stands before its name for people, such as its question."""
        self._label, self._where = label, where

    def epoch(self, stage: str) -> Callable[[int, int, Line], None]:
        """What the training loop of a stage of the present cell is to tell after each epoch."""
        first, label, name = True, self._label, self._where + self._label

        def tell(epoch: int, epochs: int, line: Line) -> None:
            nonlocal first
            if first and epoch > 1:
                self.say(f"  {name} {stage}: goes on after epoch {epoch - 1}")
            first = False
            self.tracker.epoch(label, stage, line)
            losses = f"loss {line['train_loss']:.4f}, validation {line['val_loss']:.4f}"
            self._show(f"{name} {stage} epoch {epoch}/{epochs} {losses}")
            if epoch == epochs:
                self.say(f"  {name} {stage}: {epochs} epoch{'s' if epochs > 1 else ''}, {losses}")

        return tell

    def note(self, what: str, done: int, total: int) -> None:
        """Part of a stage is done."""
        self._show(f"{what} {done}/{total}")
        if done == total:
            self.say(f"  {what}: {total} done")

    def finish(self, text: str, trained: bool) -> None:
        """A cell is done, or skipped, or failed, as `text` says; trained: whether it was one of the `trainings`."""
        self._done += 1
        self._trained += trained
        seconds = status.left(time.perf_counter() - self._begun, self._trained, self._trainings)
        left = f", about {status.duration(seconds)} left" if seconds else ""
        if self._bar is not None:
            self._bar.set_description_str(left, refresh=False)
            self._bar.update(self._done - self._bar.n)
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
