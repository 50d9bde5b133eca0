import flax.linen as nn
import jax
import numpy as np
import pytest

from ordinal_blast.bench import operations
from ordinal_blast.models import LSTM, MLP, UNet, Xception


def by_layers(network, shape):
    """Twice the weights of every kernel times the positions of its output, as Flax reports them."""
    x = np.zeros((1, *shape), np.float32)
    _, state = jax.eval_shape(
        lambda: network.init_with_output(jax.random.key(0), x, train=False, capture_intermediates=True)
    )
    total = 0
    for path, kernel in jax.tree_util.tree_leaves_with_path(state["params"]):
        keys = [part.key for part in path]
        if keys[-1].endswith("kernel"):
            output = state["intermediates"]
            for key in keys[:-1]:
                output = output[key]
            total += 2 * np.prod(kernel.shape) * np.prod(output["__call__"][0].shape[1:3])
    return total


def test_the_published_xception_has_the_published_number_of_operations():
    # 8.4 G multiplications and additions for 299 × 299 pixels, as model zoos list it.
    assert operations.of(Xception(), (299, 299, 3)) / 2e9 == pytest.approx(8.4, abs=0.05)


@pytest.mark.parametrize(
    "network",
    [Xception(middle=1), Xception(stem=(4, 6), stem_stride=1, entry=(8, 10), middle=2, exit=(10, 12, 14, 16))],
)
@pytest.mark.parametrize("side", [45, 48])
def test_operations_of_xception_are_those_of_its_layers(network, side):
    assert operations.of(network, (side, side, 3)) == by_layers(network, (side, side, 3))


def test_operations_of_small_networks_are_those_on_paper():
    # Of 2 × 2 pixels, 3 × 3 (1 → 2, 2 → 2); of one, 3 × 3 (2 → 3, 3 → 3); of 2 × 2, 2 × 2 (3 → 2), 3 × 3 (4 → 2, 2 → 2)
    # and 1 × 1 (2 → 1).
    down, bottom, up = 4 * 9 * (2 + 4), 9 * (6 + 9), 4 * (4 * 6 + 9 * (8 + 4))
    assert operations.of(UNet(widths=(2, 3)), (2, 2, 1)) == 2 * (down + bottom + up + 4 * 2)
    assert operations.of(LSTM(units=3), (5, 7)) == 2 * 5 * (7 * 12 + 3 * 12)


def test_a_network_that_nobody_has_counted_is_refused():
    with pytest.raises(ValueError, match="MLP"):
        operations.of(MLP(), (4,))
    assert isinstance(MLP(), nn.Module)
