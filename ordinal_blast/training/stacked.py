"""Several trainings as one program: their states lie side by side, and one call takes the steps of all of them."""

from __future__ import annotations

import collections
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

from ordinal_blast.training import parallel
from ordinal_blast.training.course import Course, Variables
from ordinal_blast.training.problem import Problem
from ordinal_blast.training.step import Metrics, TrainState
from ordinal_blast.types import Batch

_WRITERS = 8  # checkpoints written at a time: most of writing one is waiting
_MOST = 2**30  # bytes of inputs that lie side by side: larger ones gain nothing from company


def advance(courses: Sequence[Course], devices: tuple[jax.Device, ...]) -> list[Exception]:
    """Bring trainings to their end, side by side where what they learn, how, and all shapes are the same.

    Each has the order of its data, its random draws, its schedule, its patience and its files for itself, and comes out
    as by itself but for round-off, which training amplifies; where one fails, its `failure` says so, and the others go
    on. What is alone of its kind is left as it is, and so is what takes too much memory, or cannot be computed side by
    side: the errors that say why are returned.
    """
    kinds: dict[Any, list[Course]] = {}
    for course in courses:
        if not course.over:
            kinds.setdefault(course.kind, []).append(course)
    several = [alike for alike in kinds.values() if len(alike) > 1]
    fitting = [alike for alike in several if sum(course.inputs_at_once for course in alike) <= _MOST]
    return [error for alike in fitting if (error := _advance(alike, devices))]


def _advance(courses: Sequence[Course], devices: tuple[jax.Device, ...]) -> Exception | None:
    """Go through the epochs of all; one that has ended computes on, for nothing, until the others have."""
    problem, begun = courses[0].problem, False
    lanes = [*courses, *courses[:1] * (-len(courses) % len(devices))]  # as many on every device
    streams = [course.blocks() for course in courses]
    evaluate = parallel.stacked_evaluation(problem, courses[0].monitor.sees, devices)
    pool = ThreadPoolExecutor(_WRITERS)
    try:
        rows = np.arange(len(courses[0].val))
        val = parallel.spread([(lane.val.inputs(rows), lane.val.labels, lane.val.weights) for lane in lanes], devices)
        state = parallel.spread([lane.state for lane in lanes], devices)
        while going := [n for n, course in enumerate(courses) if not course.over and course.failure is None]:
            steps = {n: next(streams[n])[1] for n in going}
            state, metrics = _epoch(problem, steps, len(lanes), state, devices)
            state, variables, *said = evaluate(state, *val)
            seen, losses = parallel.gathered(said)
            begun = True
            kept = [
                functools.cache(functools.partial(parallel.gathered, tree))
                for tree in (state.replace(key=()), variables)
            ]
            ends = []
            for n in going:
                courses[n].together = len(going)
                news = _lane(metrics, n), _lane(seen, n), float(losses[n])
                ends.append(functools.partial(_end_epoch, courses[n], n, *news, *kept))
            every = pool.map if courses[going[0]].seals else map  # threads gain nothing where nothing waits
            collections.deque(every(lambda end: end(), ends), maxlen=0)
    except Exception as error:
        if not begun:
            return error  # nothing was computed, and they can go one by one
        for course in courses:
            course.failure = course.failure or error
    finally:
        pool.shutdown()
    return None


def _epoch(
    problem: Problem,
    steps: Mapping[int, Iterator[Batch]],
    lanes: int,
    state: TrainState,
    devices: tuple[jax.Device, ...],
) -> tuple[TrainState, Metrics]:
    """The states after all steps of an epoch, and their metrics on the host, `[L, S]`.

    steps: the blocks of batches of each that goes on, by its number; the other lanes take those of the first.
    """
    run, taken, first = parallel.stacked_steps(problem, devices), [], next(iter(steps))
    for blocks in zip(*steps.values(), strict=True):
        batches = dict(zip(steps, blocks, strict=True))
        state, metrics = run(state, parallel.spread([batches.get(n, batches[first]) for n in range(lanes)], devices))
        taken.append(parallel.gathered(metrics))
    return state, jax.tree.map(lambda *values: np.concatenate(values, axis=1), *taken)


def _end_epoch(
    course: Course,
    n: int,
    metrics: Metrics,
    seen: Any,
    loss: float,
    states: Callable[[], TrainState],
    variables: Callable[[], Variables],
) -> None:
    """Tell a course of its lane; what fails ends this one alone."""
    try:
        course.check(metrics.loss)
        course.end_epoch(
            metrics,
            seen,
            loss,
            lambda: _lane(states(), n).replace(key=course.state.key),
            lambda: _lane(variables(), n),
        )
    except Exception as error:
        course.failure = error


def _lane(tree: Any, n: int) -> Any:
    """Lane n of a tree on the host, whose other lanes it does not keep in memory."""
    return jax.tree.map(lambda leaf: np.array(leaf[n]), tree)
