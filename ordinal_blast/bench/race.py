"""Contenders in turn, round by round, so that their ratios hold on a busy machine too."""

from __future__ import annotations

import dataclasses
import gc
import math
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import numpy as np

from ordinal_blast.bench import machine
from ordinal_blast.bench.limits import Limits
from ordinal_blast.bench.work import OURS, Outcome, Ready, Row, Spread, Target, Work
from ordinal_blast.errors import one_line

# Of the largest value: a peer that says something else computes something else.
TOLERANCE = {"float32": 1e-3, "bfloat16": 0.05}
_HOPELESS = 2.0  # times the best peer: no more rounds
_MOST_CALLS = 200
_SCALE = {"s": 1.0, "ms": 1e3, "MB": 1.0}


class Raced(NamedTuple):
    """A work as measured: seconds (or megabytes) of every contender, round by round, and who else was at work."""

    work: Work
    rounds: int
    times: Mapping[str, list[float]]
    skipped: Mapping[str, str]
    others: float | None


def race(work: Work, *, rounds: int, seconds: float, say: Callable[[str], None]) -> Raced:
    """Measure a work; raises what our own contender raises.

    rounds: how many. seconds: a contender's calls of a round take at least so long, back to back and after one that is
    not counted: a pause slows the first of them. say: told of every contender that is made ready or left out.
    """
    ready, skipped = _prepared(work, say)
    calls: dict[str, int] = dict.fromkeys(ready, 1) if work.alone else {}
    times: dict[str, list[float]] = {name: [] for name in ready}
    rounds, watch = min(rounds, work.rounds), machine.Watch()
    for number in range(rounds):
        for name in list(ready) if number % 2 == 0 else list(ready)[::-1]:
            try:
                if name not in calls:
                    calls[name] = _calls(ready[name], seconds)
                times[name].append(_timed(ready[name], calls[name], warm=not work.alone))
            except Exception as error:  # out of memory, say
                if name == OURS:
                    raise
                skipped[name] = one_line(error)
                del ready[name], times[name]
                say(f"  {work.name}: without {name}: {skipped[name]}")
        if number == 0:
            ready = _hopeful(work, ready, times)
    del ready
    gc.collect()
    return Raced(work, rounds, times, skipped, watch.others())


def _prepared(work: Work, say: Callable[[str], None]) -> tuple[dict[str, Ready], dict[str, str]]:
    ready: dict[str, Ready] = {}
    skipped: dict[str, str] = {}
    for name, contender in work.contenders.items():
        begun = time.perf_counter()
        try:
            one = contender()
            _check(one, ready.get(OURS))
            if not work.alone:
                jax.block_until_ready(one.call())
        except ModuleNotFoundError as error:
            skipped[name] = f"{error.name} is not installed: pip install 'ordinal-blast[bench]'"
        except Exception as error:
            if name == OURS:
                raise
            skipped[name] = one_line(error)
        else:
            ready[name] = one
            say(f"  {work.name}: {name} is ready after {time.perf_counter() - begun:.1f} s")
            continue
        say(f"  {work.name}: without {name}: {skipped[name]}")
    return ready, skipped


def _check(one: Ready, ours: Ready | None) -> None:
    """Raise ValueError where a peer's value is not ours."""
    if ours is None or ours.value is None or one.value is None:
        return
    if one.value.shape != ours.value.shape:
        raise ValueError(f"it gives {list(one.value.shape)}, and we give {list(ours.value.shape)}")
    off = float(np.abs(one.value - ours.value).max() / np.abs(ours.value).max())
    if not off <= TOLERANCE[machine.dtype().__name__]:
        raise ValueError(f"what it computes is {off:.2g} of the largest value from ours")


def _calls(one: Ready, seconds: float) -> int:
    """How many calls take so long."""
    begun = time.perf_counter()
    jax.block_until_ready(one.call())
    return min(max(math.ceil(seconds / (time.perf_counter() - begun)), 1), _MOST_CALLS)


def _timed(one: Ready, calls: int, *, warm: bool) -> float:
    """Seconds of a call, or what it measured itself: the mean of so many, back to back."""
    if warm:
        jax.block_until_ready(one.call())
    begun = time.perf_counter()
    for _ in range(calls):
        result = jax.block_until_ready(one.call())
    return result if isinstance(result, float) else (time.perf_counter() - begun) / calls


def _hopeful(work: Work, ready: Mapping[str, Ready], times: Mapping[str, list[float]]) -> dict[str, Ready]:
    """Ours, and the peers that may still be the best of all, or of those that a target compares with."""
    hopeful = {OURS}
    for group in ({*ready} - {OURS}, *(target.over for target in work.targets)):
        there = [name for name in group if name in ready]
        best = min((times[name][0] for name in there), default=0.0)
        hopeful |= {name for name in there if times[name][0] <= _HOPELESS * best}
    return {name: one for name, one in ready.items() if name in hopeful}


def judged(raced: Raced, limits: Limits) -> Row:
    """What a race says, beside what the machine can do."""
    work, times = raced.work, raced.times
    scale, ours = _SCALE[work.unit], times[OURS]
    spreads = {name: Spread.of([scale * value for value in values]) for name, values in times.items()}
    ratios = {
        name: Spread.of([value / own for value, own in zip(values, ours, strict=False)])
        for name, values in times.items()
        if name != OURS
    }
    limit = scale * limits.seconds(work.operations, work.bytes) or None
    measured = Row(
        name=work.name,
        title=work.title,
        unit=work.unit,
        rounds=raced.rounds,
        times=spreads,
        ratios=ratios,
        limit=limit,
        share=limit and limit / spreads[OURS].median,
        best=min(ratios, key=lambda name: ratios[name].median, default=""),
        targets=(),
        skipped=raced.skipped,
        note=work.note,
        tried=work.tried,
        others=raced.others,
    )
    return dataclasses.replace(measured, targets=[outcome(target, measured) for target in work.targets])


def outcome(target: Target, row: Row) -> Outcome:
    """Whether a measured row meets a target."""
    reached: float | None
    if target.measure == "seconds":
        reached = row.times[OURS].median / _SCALE[row.unit]
        return Outcome(target.words, target.bound, reached, reached <= target.bound)
    if target.measure == "limit":
        reached = row.share
    else:
        reached = min((row.ratios[name].median for name in target.over if name in row.ratios), default=None)
    return Outcome(target.words, target.bound, reached, None if reached is None else reached >= target.bound)
