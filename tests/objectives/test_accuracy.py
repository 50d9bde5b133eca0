"""Value and gradient of every objective against arithmetic in 100 digits: moderate, shifted and extreme outputs."""

import functools
import inspect

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from objective_cases import CASES

from ordinal_blast import objectives

K = 4
STEP = mp.mpf(10) ** -20  # of the differences that give reference gradients: right to 40 digits
VARIANTS = [(name, i) for name, case in CASES.items() for i in range(len(case.options))]


def test_every_objective_has_a_reference():
    assert set(CASES) == set(objectives.names())


def rows(objective):
    """Outputs `[N, width]`, exact in float32: random ones, shifted ones, and gaps of up to 1e4, in every position."""
    rng, width = np.random.default_rng(7), objective.num_outputs
    parts = [scale * rng.normal(size=(6, width)) for scale in (1, 5, 25)]
    if objective.family.layer == "dense" and width > 2:
        parts += [shift + 3 * rng.normal(size=(3, width)) for shift in (50, -50)]
    for gap in (30, -80, 1e3, 1e4, -1e4):
        parts.append(gap * np.eye(width) + rng.normal(size=(width, width)))
    outputs = np.concatenate(parts).astype(np.float32)
    if objective.family.layer == "ordered_thresholds":
        outputs = np.sort(outputs, axis=1)
    return outputs, (np.arange(len(outputs)) * 3) % K


def reference(name, options, outputs, labels, weights):
    """Loss and gradient in 100 digits, as float64: per example, or of the batch as a whole."""
    case, objective = CASES[name], objectives.get(name, num_classes=K, **options)
    options = {k: v for k, v in objective.options.items() if k not in ("criterion", "decode")}
    if "num_classes" in inspect.signature(case.reference).parameters:
        options["num_classes"] = K

    def slopes(value, table):
        for row in table:
            for j, v in enumerate(row):
                row[j] = v + STEP
                up = value(table)
                row[j] = v - STEP
                yield (up - value(table)) / (2 * STEP)
                row[j] = v

    exact = [[mp.mpf(float(v)) for v in row] for row in outputs]
    if objective.spec.batch_coupled:
        batches = [(lambda table: case.reference(table, labels, weights, **options), exact)]
    else:
        batches = [
            (lambda table, y=int(y): case.reference(table[0], y, **options), [row])
            for row, y in zip(exact, labels, strict=True)
        ]
    values = [value(table) for value, table in batches]
    gradients = [list(slopes(value, table)) for value, table in batches]
    return np.array(values, np.float64), np.array(gradients, np.float64).reshape(outputs.shape)


@pytest.mark.parametrize(("name", "index"), VARIANTS)
def test_value_and_gradient(name, index):
    case, options = CASES[name], CASES[name].options[index]
    objective = objectives.get(name, num_classes=K, **options)
    outputs, labels = rows(objective)
    weights = None
    if objective.spec.batch_coupled:
        outputs, labels, weights = outputs[:8], labels[:8], [1.0, 2.0, 0.5, 1.0, 3.0, 1.0, 0.25, 1.0]
    values, gradients = reference(name, options, outputs, labels.tolist(), weights)

    @functools.partial(jax.value_and_grad, has_aux=True)
    def evaluate(outputs):
        if objective.spec.batch_coupled:
            losses = objective.loss(outputs, labels, jnp.asarray(weights, outputs.dtype))
        else:
            losses = objective.losses(outputs, labels)
        return jnp.sum(losses), losses

    compiled = jax.jit(evaluate)
    for dtype, rtol in ((np.float32, case.rtol), (np.float64, 1e-12)):
        with jax.enable_x64(dtype is np.float64):
            (_, losses), slopes = jax.device_get(compiled(jnp.asarray(outputs, dtype)))
        assert losses.dtype == slopes.dtype == dtype
        assert np.isfinite(losses).all()
        assert np.isfinite(slopes).all()
        fits = np.abs(values) < np.finfo(np.float32).max  # exp(exp(1e4)) is no number of this machine
        tiny, ulp = np.finfo(dtype).tiny, np.finfo(dtype).eps
        np.testing.assert_allclose(np.where(fits, losses, 0), np.where(fits, values, 0), rtol=rtol, atol=4 * tiny)
        # Against the row's largest slope; where slopes are differences of larger parts, a last place of those is lost.
        scale = np.max(np.abs(gradients), axis=1, keepdims=True)
        part = np.minimum(np.abs(values), 1).reshape(-1, 1)
        error = np.where(fits.reshape(-1, 1), np.abs(slopes - gradients), 0)
        assert np.all(error <= rtol * scale + ulp * part + 4 * tiny), (outputs, slopes, gradients)
