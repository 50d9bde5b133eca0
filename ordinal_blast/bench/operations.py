"""How many operations networks need at least, for one example: an addition and a multiplication are two.

Convolutions and matrix products alone; what a network does beside them needs a small part of that.
"""

from __future__ import annotations

import flax.linen as nn

from ordinal_blast.models import LSTM, UNet, Xception

TRAINING = 3  # a step of training: the values, and the gradients of inputs and of weights, cost as much each
ADAM_BYTES = 28  # a parameter: reads it, its gradient and two moments, and writes it and the moments, float32


def of(network: nn.Module, shape: tuple[int, ...]) -> float:
    """Operations of the values for one example of this shape; ValueError for a network that is not one of ours."""
    match network:
        case Xception():
            return _xception(network, *shape[1:])
        case UNet():
            return _unet(network, *shape[1:])
        case LSTM():
            frames, features = shape
            return 2.0 * frames * (features + network.units) * 4 * network.units
    raise ValueError(f"nobody has counted the operations of {type(network).__name__}")


def _xception(network: Xception, side: int, channels: int) -> float:
    """Every layer at the side that it has; both strides are of valid or same padding as in `Xception`."""
    total = 0
    for width, stride in zip(network.stem, (network.stem_stride, 1), strict=True):
        side = (side - 3) // stride + 1
        total += 9 * channels * width * side**2
        channels = width

    def separable(inputs: int, outputs: int) -> int:
        return (9 + outputs) * inputs * side**2

    for width in network.entry:
        total += separable(channels, width) + separable(width, width)
        side = -(-side // 2)
        total += channels * width * side**2
        channels = width
    total += 3 * network.middle * separable(channels, channels)
    first, second, third, fourth = network.exit
    total += separable(channels, first) + separable(first, second)
    side = -(-side // 2)
    total += channels * second * side**2 + separable(second, third) + separable(third, fourth)
    return 2.0 * total


def _unet(network: UNet, side: int, channels: int) -> float:
    """Two 3×3 convolutions a level down, at the bottom and up, a 2×2 one before each level up, and 1×1 at the end."""
    total, depth = 0, len(network.widths)
    for level, width in enumerate(network.widths):
        total += 9 * (channels + width) * width * (side >> level) ** 2
        channels = width
    for level in reversed(range(depth - 1)):
        width = network.widths[level]
        total += (4 * channels + 9 * (2 * width + width)) * width * (side >> level) ** 2
        channels = width
    return 2.0 * (total + channels * side**2)
