"""The worked values of Kragh et al. 2019, section 2.4, and the facts that follow from its loss."""

import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast import objectives

LABEL = jnp.array([2])  # A, in the order C, B, A


@pytest.mark.parametrize(
    ("probs", "cross_entropy", "unweighted", "ordinal"),
    [((0.1, 0.4, 0.5), 0.693, 0.616, 0.722), ((0.5, 0.0, 0.5), 0.693, 0.693, 1.386)],
)
def test_worked_values(probs, cross_entropy, unweighted, ordinal):
    logits = jnp.log(jnp.maximum(jnp.array([probs]), 1e-30))
    np.testing.assert_allclose(objectives.cross_entropy(logits, LABEL)[0], cross_entropy, atol=5e-4)
    np.testing.assert_allclose(objectives.ordinal_cross_entropy(logits, LABEL, power=0.0)[0], unweighted, atol=5e-4)
    np.testing.assert_allclose(objectives.ordinal_cross_entropy(logits, LABEL)[0], ordinal, atol=5e-4)
    exact = -(2 * np.log(1 - probs[0]) + np.log(1 - probs[1]))
    np.testing.assert_allclose(objectives.ordinal_cross_entropy(logits, LABEL)[0], exact, rtol=1e-6)
