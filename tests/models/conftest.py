"""Slow plain numpy layers to compare the networks with, and random variables that no initialiser would hide behind."""

import pathlib
import sys
from types import SimpleNamespace

import jax
import numpy as np
import pytest

# The golden outputs lie beside this file; under importlib mode nothing else puts it on the path.
sys.path.insert(0, str(pathlib.Path(__file__).parent))


def _windows(x, size, stride, padding, fill):
    """Yield (row, column, the size × size window there) of `[B, H, W, C]`."""
    if padding == "SAME":
        totals = [max((-(-n // stride) - 1) * stride + size - n, 0) for n in x.shape[1:3]]
        pads = [(total // 2, total - total // 2) for total in totals]
        x = np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=fill)
    for row in range((x.shape[1] - size) // stride + 1):
        for column in range((x.shape[2] - size) // stride + 1):
            top, left = row * stride, column * stride
            yield row, column, x[:, top : top + size, left : left + size]


def _map_windows(function, x, size, stride, padding, fill=0.0):
    values = {(row, column): function(window) for row, column, window in _windows(x, size, stride, padding, fill)}
    height, width = (1 + max(index) for index in zip(*values, strict=True))
    return np.stack([np.stack([values[i, j] for j in range(width)], 1) for i in range(height)], 1)


def conv(x, kernel, stride=1, padding="SAME"):
    return _map_windows(lambda w: np.tensordot(w, kernel, 3), x, kernel.shape[0], stride, padding)


def depthwise(x, kernel):
    return _map_windows(lambda w: (w * kernel[:, :, 0]).sum((1, 2)), x, kernel.shape[0], 1, "SAME")


def max_pool(x, size=3, stride=2):
    return _map_windows(lambda w: w.max((1, 2)), x, size, stride, "SAME", -np.inf)


def batch_norm(x, params, stats, epsilon=1e-3):
    return (x - stats["mean"]) / np.sqrt(stats["var"] + epsilon) * params["scale"] + params["bias"]


def randomise(model, inputs, seed):
    """Variables of the model as float64 arrays, every value drawn: parameters N(0, 0.3²), variances in [0.5, 1.5]."""
    variables = jax.eval_shape(lambda: model.init(jax.random.key(0), inputs, train=False))
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        return rng.uniform(0.5, 1.5, leaf.shape) if path[-1].key == "var" else rng.normal(0, 0.3, leaf.shape)

    return jax.tree_util.tree_map_with_path(draw, variables)


def as_float32(tree):
    return jax.tree.map(lambda leaf: leaf.astype(np.float32), tree)


@pytest.fixture
def plain():
    return SimpleNamespace(
        conv=conv,
        depthwise=depthwise,
        max_pool=max_pool,
        batch_norm=batch_norm,
        randomise=randomise,
        as_float32=as_float32,
        relu=lambda x: np.maximum(x, 0),
    )
