"""How often tests over repeated hold-outs of one table call two equal learners different.

`python tests/evaluation/test_holdouts.py` measures the rates that reports print, in half a minute.
"""

from collections.abc import Callable

import numpy as np
import pytest

from ordinal_blast.evaluation import significance

ROWS, HELD_OUT, HOLDOUTS = 500, 125, 30
FEATURES, SIGNAL = 4, 0.35
CLOSE = 25  # neighbours of which one is always in training, but for a chance of 1e-15
LEVEL = 0.05


def linear(x: np.ndarray, y: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Hits `[J, T]` of ridge regression on the signs `y`: a stable learner."""
    rows = x[train]
    moments = rows.transpose(0, 2, 1) @ rows + np.eye(x.shape[1])
    weights = np.linalg.solve(moments, rows.transpose(0, 2, 1) @ y[train][..., None])
    return (x[test] @ weights)[..., 0] * y[test] > 0


def nearest(x: np.ndarray, y: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Hits `[J, T]` of the nearest neighbour: an unstable learner."""
    squares = (x**2).sum(axis=1)
    distances = squares[:, None] + squares - 2 * x @ x.T
    order = np.argpartition(distances, CLOSE, axis=1)[:, :CLOSE]
    order = np.take_along_axis(order, np.take_along_axis(distances, order, axis=1).argsort(axis=1), axis=1)
    trained = np.zeros((len(train), len(x)), bool)
    np.put_along_axis(trained, train, True, axis=1)
    hits = []
    for row, members in enumerate(trained):
        near = order[test[row]]
        first = members[near].argmax(axis=1)
        hits.append(y[near[np.arange(len(near)), first]] == y[test[row]])
    return np.stack(hits)


def rates(learner: Callable[..., np.ndarray], tables: int, seed: int) -> dict[str, float]:
    """Share of tables where p < .05 for two learners of equal accuracy in the population, by test.

    Both see half of the features, of which all say equally much: they differ from example to example, on average not.
    """
    rng = np.random.default_rng(seed)
    rejected = {"corrected t": 0, "paired t": 0, "Wilcoxon": 0}
    for _ in range(tables):
        y = rng.choice([-1.0, 1.0], ROWS)
        x = rng.normal(size=(ROWS, 2 * FEATURES)) + SIGNAL * y[:, None]
        order = rng.permuted(np.tile(np.arange(ROWS), (HOLDOUTS, 1)), axis=1)
        test, train = order[:, :HELD_OUT], order[:, HELD_OUT:]
        a, b = (learner(half, y, train, test).mean(axis=1) for half in np.split(x, 2, axis=1))
        corrected = significance.corrected_t(a, b, num_train=ROWS - HELD_OUT, num_test=HELD_OUT)
        (ranked,) = significance.wilcoxon_holm(np.stack([a, b], axis=1), ["a", "b"])
        rejected["corrected t"] += corrected.p_value < LEVEL
        rejected["paired t"] += significance.paired_t(a, b).p_value < LEVEL
        rejected["Wilcoxon"] += ranked.p_value < LEVEL
    return {test: count / tables for test, count in rejected.items()}


@pytest.mark.parametrize(("learner", "stated"), [*zip((linear, nearest), significance.CORRECTED_T_ERRS, strict=True)])
def test_the_corrected_t_errs_as_often_as_stated(learner, stated):
    measured = rates(learner, 100, seed=1)["corrected t"]  # other tables than those that the number comes from
    assert measured == pytest.approx(stated, abs=3 * np.sqrt(stated * (1 - stated) / 100))


def test_tests_that_take_holdouts_for_independent_err_every_other_time():
    measured = rates(linear, 200, seed=1)
    assert measured["paired t"] > 0.4
    assert measured["Wilcoxon"] > 0.4


if __name__ == "__main__":
    for learner in (linear, nearest):
        print(learner.__name__, rates(learner, 2000, 0))
