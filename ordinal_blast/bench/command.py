"""The whole of a run: limits, rows, growth; and the same as text."""

from __future__ import annotations

import dataclasses
import fnmatch
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax

from ordinal_blast.bench import grid_works, growth, limits, machine, network_works, operator_works, study_works
from ordinal_blast.bench.growth import Growth
from ordinal_blast.bench.limits import Limits
from ordinal_blast.bench.race import Raced, judged, race
from ordinal_blast.bench.work import OURS, TORCH, Row, Work
from ordinal_blast.errors import UsageError
from ordinal_blast.ranges import check, whole
from ordinal_blast.report.formats import number

_GROWTH = "growth"  # the name that `only` has for all curves
_SECONDS = 0.3  # of a contender's calls in a round
BUSY = 0.05  # of the processor taken by others: what was measured then is said to be so
_ROUNDS, _QUICK_ROUNDS = 5, 3


@dataclasses.dataclass(frozen=True)
class Result:
    """A run of `bench`. seconds: how long it took."""

    machine: Mapping[str, str]
    limits: Limits
    rows: Sequence[Row]
    growths: Sequence[Growth]
    quick: bool
    rounds: int
    seconds: float

    def json(self) -> dict[str, Any]:
        """Everything, ready for JSON, the exponents too."""
        curves = [
            {**dataclasses.asdict(one), "exponent": one.exponent, "memory_exponent": one.memory_exponent}
            for one in self.growths
        ]
        return {**dataclasses.asdict(self), "growths": curves}


def works(quick: bool) -> Iterator[Work]:
    """Every row, in the order of the table, with the targets for the present device."""
    for room in (network_works, operator_works, study_works, grid_works):
        for work in room.works(quick):
            targets = tuple(target for target in work.targets if target.backend in ("", jax.default_backend()))
            yield _quick(work) if quick else dataclasses.replace(work, targets=targets)


def _quick(work: Work) -> Work:
    """Without targets, which are stated for the paper's sizes, and without what takes a minute to compile."""
    contenders = {name: one for name, one in work.contenders.items() if name != TORCH[2]}
    return dataclasses.replace(work, contenders=contenders, targets=())


def names(quick: bool = False) -> dict[str, str]:
    """What can be asked for with `only`: names and titles."""
    return {**{work.name: work.title for work in works(quick)}, _GROWTH: "How cost grows: a curve for every size"}


def bench(
    *,
    quick: bool = False,
    only: Sequence[str] = (),
    rounds: int | None = None,
    say: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True),
    keep: Callable[[Result], None] = lambda result: None,
) -> Result:
    """Measure every row at the paper's sizes on the present device.

    quick: small networks and sizes, to try it. only: patterns of names, as of files. rounds: repeats of all contenders
    in turn, 5 unless said otherwise. keep: told of what there is after every row. Raises UsageError for patterns that
    no name has, and for fewer than one round.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # peers and other processes need memory too
    rounds = rounds if rounds is not None else (_QUICK_ROUNDS if quick else _ROUNDS)
    check("rounds", rounds, whole(1))
    known = names(quick)
    wanted = [name for name in known if not only or any(fnmatch.fnmatchcase(name, pattern) for pattern in only)]
    if not wanted:
        raise UsageError(f"nothing that is measured is called {', '.join(only)}: there are {', '.join(known)}")
    begun = time.perf_counter()
    measured = limits.measure()
    say(limits.text(measured))
    seconds = _SECONDS / 3 if quick else _SECONDS
    raced: list[Raced] = []
    curves: list[Growth] = []

    def result() -> Result:
        rows = [judged(one, measured) for one in raced]
        return Result(machine.facts(), measured, rows, curves, quick, rounds, time.perf_counter() - begun)

    for work in works(quick):
        if work.name in wanted:
            raced.append(race(work, rounds=rounds, seconds=seconds, say=say))
            measured = measured.best(limits.measure(repeats=3))
            keep(result())
    if _GROWTH in wanted:
        for curve in growth.growths(quick, say):
            curves.append(curve)
            keep(result())
    return result()


def table(result: Result) -> str:
    """The rows as text: our time, the share of the limit, every peer's ratio, and what came of the targets."""
    lines = [f"{name}: {value}" for name, value in result.machine.items()]
    lines += [limits.text(result.limits), ""]
    for row in result.rows:
        own = row.times[OURS]
        limit = f", limit {number(row.limit)} {row.unit}, share {row.share:.0%}" if row.limit and row.share else ""
        busy = f" (others took {row.others:.0%} of the processor)" if row.others and row.others > BUSY else ""
        lines.append(f"{row.title}: {number(own.median)} {row.unit}{limit}{busy}")
        for name, ratio in row.ratios.items():
            spread = f"[{number(ratio.low, 2)}, {number(ratio.high, 2)}]"
            lines.append(
                f"  {name}: {number(row.times[name].median)} {row.unit}, ratio {number(ratio.median, 2)} {spread}"
            )
        lines += [f"  without {name}: {reason}" for name, reason in row.skipped.items()]
        for target in row.targets:
            met = "not measured" if target.met is None else "met" if target.met else "not met"
            lines.append(f"  target {target.words}: {met}")
    for one in result.growths:
        lines.append(f"{one.title}, against {one.axis}: exponent {number(one.exponent, 2)}, expected {one.expected:g}")
    return "\n".join(lines)
