import dataclasses
import time

import numpy as np
import pytest

from ordinal_blast.bench.limits import Limits
from ordinal_blast.bench.race import judged, race
from ordinal_blast.bench.work import OURS, Ready, Target, Work
from ordinal_blast.errors import UserError

LIMITS = Limits({"XLA": 100.0, "NumPy": 50.0}, bandwidth=10.0)


def times(*seconds, value=None):
    """A contender whose calls say that they took so long, one after another."""
    left = iter(seconds)
    return lambda: Ready(lambda: next(left), value)


def fail(error):
    def ready():
        raise error

    return ready


def run(work, rounds=3):
    return judged(
        race(dataclasses.replace(work, alone=True), rounds=rounds, seconds=0.0, say=lambda text: None), LIMITS
    )


def test_ratios_are_taken_round_by_round_and_the_best_peer_is_the_one_with_the_least():
    row = run(Work("w", "W", {OURS: times(1.0, 2.0, 4.0), "a": times(3.0, 4.0, 4.0), "b": times(2.0, 3.0, 8.0)}))
    assert row.times[OURS].median == 2000
    assert dataclasses.astuple(row.ratios["a"]) == (2.0, 1.5, 2.5)  # of 3, 2 and 1
    assert dataclasses.astuple(row.ratios["b"]) == (2.0, 1.75, 2.0)  # of 2, 1.5 and 2
    assert row.best == "a"


def test_a_peer_that_is_twice_as_slow_as_the_best_is_measured_once():
    row = run(Work("w", "W", {OURS: times(1.0, 1.0, 1.0), "a": times(2.0, 2.0, 2.0), "slow": times(4.1)}))
    assert row.ratios["slow"].median == pytest.approx(4.1)
    assert row.best == "a"


def test_the_limit_is_the_larger_of_operations_and_bytes_at_the_highest_rate():
    work = Work("w", "W", {OURS: times(8.0)}, operations=200.0, bytes=10.0)
    row = run(work, rounds=1)
    assert (row.limit, row.share) == (2000, 0.25)
    assert run(dataclasses.replace(work, contenders={OURS: times(8.0)}, bytes=40.0), rounds=1).share == 0.5
    assert run(Work("w", "W", {OURS: times(8.0)}), rounds=1).limit is None


def test_targets_compare_with_the_best_of_theirs_and_with_nobody_where_none_is_there():
    targets = (
        Target("1.5 × the better", 1.5, ("a", "b")),
        Target("2 × one", 2.0, ("b",)),
        Target("2 × nobody", 2.0, ("c",)),
        Target("half of the limit", 0.5, measure="limit"),
        Target("a second", 1.0, measure="seconds"),
    )
    contenders = {OURS: times(1.0), "a": times(1.4), "b": times(2.0), "c": fail(ModuleNotFoundError(name="c"))}
    row = run(Work("w", "W", contenders, targets, operations=60.0), rounds=1)
    assert [(one.reached, one.met) for one in row.targets] == [
        (pytest.approx(1.4), False),
        (2.0, True),
        (None, None),
        (pytest.approx(0.6), True),
        (1.0, True),
    ]


def test_a_peer_that_is_absent_or_computes_something_else_is_left_out_with_its_reason():
    ours, near, far = np.array([1.0, -2.0]), np.array([1.001, -2.001]), np.array([1.0, -2.01])
    contenders = {
        OURS: times(1.0, value=ours),
        "near": times(2.0, value=near),
        "far": times(2.0, value=far),
        "wide": times(2.0, value=np.zeros(3)),
        "absent": fail(ModuleNotFoundError(name="torch")),
        "broken": lambda: Ready(fail(UserError("the process failed"))),
        "full": lambda: Ready(fail(MemoryError("no more"))),
    }
    row = run(Work("w", "W", contenders), rounds=1)
    assert set(row.ratios) == {"near"}
    assert row.skipped == {
        "far": "ValueError: what it computes is 0.005 of the largest value from ours",
        "wide": "ValueError: it gives [3], and we give [2]",
        "absent": "torch is not installed: pip install 'ordinal-blast[bench]'",
        "broken": "the process failed",
        "full": "MemoryError: no more",
    }


def test_a_peer_that_fails_in_a_later_round_is_left_out_too():
    row = run(Work("w", "W", {OURS: times(1.0, 1.0), "near": times(2.0, 2.0), "breaks": times(2.0)}), rounds=2)
    assert set(row.ratios) == {"near"}
    assert row.skipped == {"breaks": "StopIteration"}


def test_what_fails_here_fails():
    with pytest.raises(ZeroDivisionError):
        run(Work("w", "W", {OURS: fail(ZeroDivisionError())}))


def test_calls_are_timed_where_they_do_not_measure_themselves():
    work = Work("w", "W", {OURS: lambda: Ready(lambda: time.sleep(0.002))})
    assert min(race(work, rounds=2, seconds=0.01, say=lambda text: None).times[OURS]) >= 0.002


def test_limits_are_the_best_of_all_times_that_they_were_measured():
    slow, fast = Limits({"XLA": 90.0, "NumPy": 60.0}, 20.0), Limits({"XLA": 100.0, "NumPy": 50.0}, 10.0)
    assert slow.best(fast) == Limits({"XLA": 100.0, "NumPy": 60.0}, 20.0)
