"""Schedules against their formulas and optax's, and the plateau rule against a plain reading of it."""

import math

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ordinal_blast import parts
from ordinal_blast.training import schedules
from ordinal_blast.training.schedules import SCHEDULES, OnPlateau

N = 40
PROGRESS = [jnp.float32(u / N) for u in range(N)]


@pytest.mark.parametrize(
    ("name", "options", "same"),
    [
        ("constant", {}, optax.constant_schedule(1.0)),
        ("linear", {"end": 0.2}, optax.linear_schedule(1.0, 0.2, N)),
        ("cosine", {"end": 0.1}, optax.cosine_decay_schedule(1.0, N, alpha=0.1)),
        (
            "warmup_cosine",
            {"warmup": 0.25, "start": 0.1, "end": 0.05},
            optax.warmup_cosine_decay_schedule(0.1, 1.0, N // 4, N, 0.05),
        ),
        ("exponential", {"end": 0.01}, optax.exponential_decay(1.0, N, 0.01)),
        ("step", {"at": (0.25, 0.5), "factor": 0.3}, optax.piecewise_constant_schedule(1.0, {10: 0.3, 20: 0.3})),
    ],
)
def test_a_schedule_is_that_of_optax_over_the_updates_of_training(name, options, same):
    got = [float(SCHEDULES[name](progress, **options)) for progress in PROGRESS]
    np.testing.assert_allclose(got, [float(same(u)) for u in range(N)], rtol=1e-5)


def test_every_schedule_starts_at_one_and_the_warm_one_reaches_it():
    for name in set(SCHEDULES) - {"plateau", "warmup_cosine"}:
        assert float(SCHEDULES[name](jnp.float32(0))) == 1
    assert float(SCHEDULES["warmup_cosine"](jnp.float32(0.05))) == pytest.approx(1, rel=1e-6)
    assert float(SCHEDULES["warmup_cosine"](jnp.float32(0.025))) == pytest.approx(0.5, rel=1e-6)
    assert float(SCHEDULES["warmup_cosine"](jnp.float32(0), warmup=0.0)) == 1


def scales(losses, patience):
    state, rule, seen = schedules.start(), OnPlateau(0.5, patience), []
    for loss in losses:
        state = rule.update(state, jnp.float32(loss))
        seen.append(float(state.scale))
    return seen


def scales_of_optax(losses, patience):
    rule = optax.contrib.reduce_on_plateau(factor=0.5, patience=patience, rtol=1e-4)
    state, seen = rule.init({"w": jnp.zeros(1)}), []
    for loss in losses:
        _, state = rule.update({"w": jnp.zeros(1)}, state, value=jnp.float32(loss))
        seen.append(float(state.scale))
    return seen


def test_halves_after_patience_epochs_without_a_drop():
    losses = [3, 2, 2, 2.5, 1, 1, 1, 1]
    assert scales(losses, patience=2) == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]
    assert scales_of_optax(losses, patience=2) == scales(losses, patience=2)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_drop_is_a_drop_below_zero_too(sign):
    falling = [sign * 10 - i for i in range(8)]
    assert scales(falling, patience=1) == [1] * 8


def test_that_of_optax_is_another_rule():
    """Why it is not used: it takes no rule without a margin, misses small drops, and turns round below zero."""
    with pytest.raises(ValueError, match="At least one of rtol or atol must be positive"):
        optax.contrib.reduce_on_plateau(rtol=0.0, atol=0.0)
    barely = [1 - 1e-5 * i for i in range(6)]
    assert scales(barely, patience=2) == [1] * 6
    assert scales_of_optax(barely, patience=2)[-1] == 0.25
    rising = [-1 + 1e-5 * i for i in range(6)]
    assert scales(rising, patience=2)[-1] == 0.25
    assert scales_of_optax(rising, patience=2) == [1] * 6


@pytest.mark.parametrize("patience", [1, 2, 5])
def test_that_of_keras_and_that_of_pytorch_without_a_margin_are_this_rule(patience):
    """ReduceLROnPlateau: Keras reduces once as many epochs as `patience` are bad, PyTorch once more than that are."""
    losses = np.random.default_rng(patience).integers(-20, 20, 60) + np.linspace(20, 0, 60).round()
    losses[::17] = math.nan
    keras, pytorch = [], []
    for told, allowed in ((keras, patience), (pytorch, patience - 1)):
        scale, best, bad = 1.0, math.inf, 0
        for loss in losses:
            best, bad = (loss, 0) if loss < best else (best, bad + 1)
            if (bad >= allowed) if told is keras else (bad > allowed):
                scale, bad = scale / 2, 0
            told.append(scale)
    assert keras == pytorch == scales(losses, patience)


def test_nan_counts_as_no_drop():
    assert scales([1, math.nan, math.nan, 0.5], patience=2) == [1, 1, 0.5, 0.5]


def test_what_a_schedule_takes_where_nothing_is_stated():
    stated = {
        name: {option.name: option.default for option in parts.options_of(schedule) if option.name != "progress"}
        for name, schedule in SCHEDULES.items()
    }
    assert stated == {
        "constant": {},
        "cosine": {"end": 0.0},
        "exponential": {"end": 0.01},
        "linear": {"end": 0.0},
        "plateau": {"factor": 0.5, "patience": 5},
        "step": {"at": (0.5, 0.75), "factor": 0.1},
        "warmup_cosine": {"warmup": 0.05, "start": 0.0, "end": 0.0},
    }
