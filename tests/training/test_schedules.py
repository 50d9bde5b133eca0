"""The plateau rule against a plain reading of it."""

import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast.training import schedules
from ordinal_blast.training.schedules import OnPlateau


def scales(losses, patience):
    state, rule, seen = schedules.start(), OnPlateau(0.5, patience), []
    for loss in losses:
        state = rule.update(state, jnp.float32(loss))
        seen.append(float(state.scale))
    return seen


def test_halves_after_patience_epochs_without_a_drop():
    assert scales([3, 2, 2, 2.5, 1, 1, 1, 1], patience=2) == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_drop_is_a_drop_below_zero_too(sign):
    falling = [sign * 10 - i for i in range(8)]
    assert scales(falling, patience=1) == [1] * 8


def test_nan_counts_as_no_drop():
    assert scales([1, np.nan, np.nan, 0.5], patience=2) == [1, 1, 0.5, 0.5]
