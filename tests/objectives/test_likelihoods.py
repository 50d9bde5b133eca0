"""Ordinal regressions as R fits them: at R's estimates the loss is minus R's log-likelihood, and its gradient is 0.

The 72 ratings of bitterness of Randall (1989), `wine` of the R package ordinal, by temperature and contact with skins.
R 4.2.2: `clm(rating ~ temp + contact, link = ...)` of ordinal 2022.11-16, whose logit and probit MASS::polr repeats,
and `vglm(counts ~ temp + contact, acat(parallel = TRUE))`, `cratio` and `sratio` of VGAM 1.1-7, less their constant.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast import objectives

pytestmark = pytest.mark.usefixtures("compile_quickly")  # the optimised code is checked by test_accuracy
COUNTS = np.array([[4, 9, 5, 0, 0], [1, 7, 8, 2, 0], [0, 5, 8, 3, 2], [0, 1, 5, 7, 5]])
WARM_AND_CONTACT = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
CONSTANT = 69.01435019260535  # sum of log(n! / prod n_k!) over the four rows, which vglm counts in

# Objective, its link, the sign of the slopes, R's cut points (intercepts), slopes and log-likelihood.
FITS = [
    (
        *("cumulative_link", "logit", -1),
        [-1.34438341126502, 1.25080879841678, 3.4668869264749, 5.00640420427088],
        [2.50310200789956, 1.52779765809535],
        -86.4919233656491,
    ),
    (
        *("cumulative_link", "probit", -1),
        [-0.773262728758367, 0.73602148983944, 2.04468046385012, 2.94134498225715],
        [1.49937457839864, 0.867743538882857],
        -85.7611483647766,
    ),
    (
        *("cumulative_link", "cloglog", -1),
        [-1.74008238231261, 0.296329097849798, 1.72885534337717, 2.59679704914219],
        [1.6057600911385, 0.859713656727842],
        -86.6340792088098,
    ),
    (
        *("adjacent_category_shared", None, 1),
        [0.989904584453085, -0.890105787993373, -2.51583688427828, -2.78504406540271],
        [1.68848428947451, 0.964853630570535],
        -16.6298099849845 - CONSTANT,
    ),
    (
        *("corn", None, 1),
        [1.48205452334538, -0.892996247566617, -2.67719379674354, -3.54648416318734],
        [2.22855583781078, 1.23894817279917],
        -17.1653537618383 - CONSTANT,
    ),
    (
        *("stick_breaking", None, 1),
        [-1.48205452158907, 0.892996251394763, 2.67719380401425, 3.54648416959202],
        [-2.22855583898307, -1.23894817871998],
        -17.1653537618383 - CONSTANT,
    ),
]


@pytest.mark.parametrize(("name", "link", "sign", "cuts", "slopes", "log_likelihood"), FITS)
def test_the_estimates_of_r_are_the_optimum(name, link, sign, cuts, slopes, log_likelihood):
    objective = objectives.get(name, num_classes=5, **({"link": link} if link else {}))
    grades = np.tile(np.arange(5), len(COUNTS))

    def minus_log_likelihood(cuts, slopes):
        outputs = cuts[None, :] + sign * (WARM_AND_CONTACT @ slopes)[:, None]
        return COUNTS.sum() * objective.loss(jnp.repeat(outputs, 5, axis=0), grades, COUNTS.ravel())

    with jax.enable_x64():
        fitted = jnp.array(cuts), jnp.array(slopes)
        loss, gradients = jax.jit(jax.value_and_grad(minus_log_likelihood, (0, 1)))(*fitted)
    assert loss == pytest.approx(-log_likelihood, rel=1e-12)
    np.testing.assert_allclose(np.concatenate(gradients), 0, atol=1e-7)
