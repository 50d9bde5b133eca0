"""What the networks computed before they were made fast: `python tests/models/golden_outputs.py` writes `golden.npz`.

Written once, from convolutions that were plain shifted sums and gradients that XLA took of them. To be written again
only where the values themselves are meant to change.
"""

from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np

from ordinal_blast.models import LSTM, MLP, UNet, Xception

FILE = Path(__file__).parent / "golden.npz"
_SMALL = Xception(stem=(16, 32), stem_stride=1, entry=(48, 96), middle=1, exit=(96, 128, 128, 128), momentum=0.9)
_MASK = np.array([True, True, False, True])


def _images(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8)


def _floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


CASES = {
    "Xception 28×28": (_SMALL, _images(4, 28, 28, 3), None),
    "Xception 64×64": (_SMALL.clone(stem_stride=2, middle=2), _images(4, 64, 64, 3), None),
    "Xception 29×35, padded": (_SMALL.clone(stem_stride=2), _images(4, 29, 35, 3), _MASK),
    "U-Net 32×32": (UNet(widths=(8, 16, 32)), _images(2, 32, 32, 3), None),
    "U-Net 64×64": (UNet(), _images(2, 64, 64, 3), None),
    "LSTM": (LSTM(16, dropout=0, recurrent_dropout=0), _floats(4, 12, 64), None),
    "LSTM, dropout": (LSTM(16), _floats(4, 12, 64), None),
    "LSTM, masking": (LSTM(16, masking=True), _floats(4, 12, 64) * (np.arange(12) < 7)[:, None], None),
    "MLP": (MLP((24, 16)), _floats(4, 11), None),
    "MLP, padded": (MLP((24, 16), activation="elu"), _floats(4, 11), _MASK),
}
PAPER = (Xception(), _images(2, 96, 96, 3), None)


def outputs(model, inputs, mask) -> dict[str, np.ndarray]:
    """Outputs in evaluation and in training, statistics after it, and of every gradient its norm and a projection.

    In evaluation and training the features; "stats" and "gradients" have one entry per leaf of the tree, in its order.
    """
    variables = jax.jit(lambda: model.init(jax.random.key(0), inputs[:1], train=False))()
    rng = np.random.default_rng(2)

    def drawn(path: tuple, leaf: jax.Array) -> np.ndarray:
        if path[-1].key in ("scale", "var"):
            return rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32)
        if path[-1].key in ("bias", "mean"):
            return (leaf + rng.normal(0, 0.3, leaf.shape)).astype(np.float32)
        return np.asarray(leaf)

    variables = jax.tree_util.tree_map_with_path(drawn, variables)
    params, stats = variables["params"], variables.get("batch_stats", {})
    keys = jax.random.split(jax.random.key(3), len(inputs))
    evaluated = jax.jit(lambda variables, inputs: model.apply(variables, inputs, train=False))(variables, inputs)
    weights = np.random.default_rng(4).normal(size=evaluated.shape).astype(np.float32)
    weights = weights if mask is None else weights * mask[:, None]

    # All values are arguments: constants would be folded by the compiler's own slow operators.
    def loss(params: Mapping, stats: Mapping, inputs: np.ndarray, keys: jax.Array) -> tuple[jax.Array, tuple]:
        y, updates = model.apply(
            {"params": params, "batch_stats": stats}, inputs, train=True, keys=keys, mask=mask, mutable=["batch_stats"]
        )
        return (y * weights).sum(), (y, updates)

    gradients, (trained, updates) = jax.jit(jax.grad(loss, has_aux=True))(params, stats, inputs, keys)
    return {
        "evaluated": np.asarray(evaluated),
        "trained": np.asarray(trained if mask is None else trained[mask]),
        "stats": np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(updates)] or [np.zeros(0, np.float32)]),
        "gradients": np.stack([_summary(leaf) for leaf in jax.tree.leaves(gradients)]),
    }


def _summary(leaf: jax.Array) -> np.ndarray:
    """The norm, and the mean of the leaf along a random direction of the same norm as the leaf's count of numbers."""
    leaf = np.float64(leaf)
    direction = np.random.default_rng(5).normal(size=leaf.shape)
    return np.array([np.linalg.norm(leaf), (leaf * direction).sum()])


def shortened(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A few features and statistics of the paper's network, which has tens of thousands."""
    return values | {
        "evaluated": values["evaluated"][:, ::32],
        "trained": values["trained"][:, ::32],
        "stats": values["stats"][::32],
    }


if __name__ == "__main__":
    everything = {name: outputs(*case) for name, case in CASES.items()} | {"paper": shortened(outputs(*PAPER))}
    np.savez_compressed(
        FILE, **{f"{name}/{part}": values for name, parts in everything.items() for part, values in parts.items()}
    )
    print(f"{FILE}: {FILE.stat().st_size:,} bytes")
