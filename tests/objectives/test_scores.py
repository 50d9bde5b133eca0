"""Scores rank: they keep the order of examples however confident, at both ends of the scale, for every family."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast import objectives

K = 4
NAMES = objectives.names()


def test_confident_softmax_scores_differ():
    """Logits (0, 0, g): the expected grade is 2 - 3 exp(-g), one float32 number for g = 19, 20 and 21."""
    logits = jnp.array([[0.0, 0.0, g] for g in (19, 20, 21)])
    for name in ("cross_entropy", "sord", "ordinal_cross_entropy"):
        objective = objectives.get(name, num_classes=3)
        assert len(set(np.asarray(objective.expected(logits)))) == 1
        upper, lower = np.asarray(objective.score(logits)), np.asarray(objective.score(logits[:, ::-1]))
        np.testing.assert_allclose(upper, [g + np.log(2 / 3) for g in (19, 20, 21)], rtol=1e-6)
        np.testing.assert_allclose(lower, -upper, rtol=1e-6)


def climbing(objective, steps):
    """Outputs `[N, width]` that grow more sure of the last grade, and of the first."""
    width, grades = objective.num_outputs, np.arange(K)
    kind = type(objective.family).__name__
    up = {
        "CumulativeLink": -np.ones(width),
        "Thresholds": -np.ones(width),
        "StickBreaking": -np.ones(width),
        "OrderedAdjacentCategory": -np.eye(width)[0],
        "VShaped": -np.eye(width)[0],
        "Copoc": np.where(grades[:width] == 0, 1 - K, 1) / K,
        "TwoSlopes": 2 * np.eye(K)[-1][:width] - 1,
        "Gaussian": np.eye(width)[0] * 0.2,
    }.get(kind, grades / K if width == K else np.ones(width))
    down = {"TwoSlopes": up[::-1], "Copoc": abs(up)}.get(kind, -up)
    return [(steps[:, None] * direction[None, :]).astype(np.float32) for direction in (up, down)]


@pytest.mark.parametrize("name", NAMES)
def test_scores_never_tie_where_outputs_climb(name):
    objective = objectives.get(name, num_classes=K)
    steps = np.arange(5.0, 60.0, 2.5)
    up, down = climbing(objective, steps)
    score = jax.jit(objective.score)
    rising, falling = np.asarray(score(up)), np.asarray(score(down))
    assert rising.dtype == np.float32  # as they are stored
    assert np.all(np.diff(rising) > 0), rising
    assert np.all(np.diff(falling) < 0), falling
    assert rising[-1] > falling[-1]


def test_confident_rows_keep_their_ranks():
    """Of 200 confident examples none tie, and the area is that of the logits, not of what rounding leaves."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 200).astype(bool)
    gap = (18 + 3 * truth + 2 * rng.normal(size=200)).astype(np.float32)
    logits = np.stack([np.zeros(200), np.zeros(200), gap], axis=1).astype(np.float32)
    objective = objectives.get("cross_entropy", num_classes=3)

    def area(scores):
        apart = np.asarray(scores)[truth][:, None] - np.asarray(scores)[~truth][None, :]
        return np.mean((apart > 0) + (apart == 0) / 2)

    scores = objective.score(logits)
    assert len(np.unique(scores)) == len(np.unique(gap))
    assert area(scores) == area(gap)
    assert area(objective.expected(logits)) < area(gap) - 0.02
