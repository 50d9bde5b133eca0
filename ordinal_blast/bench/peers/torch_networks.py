"""Our networks in PyTorch: the same layers under the same names, so that they take our weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as flax_nn
import jax
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ordinal_blast import models
from ordinal_blast.models import GradingNetwork


def written(network: flax_nn.Module, variables: Mapping[str, Any], shape: Sequence[int]) -> nn.Module:
    """The network for examples of this shape, channels last, with our variables but for those of an LSTM.

    ValueError for a network that is not written here.
    """
    params, stats = (jax.tree.map(np.asarray, variables.get(name, {})) for name in ("params", "batch_stats"))
    match network:
        case GradingNetwork():
            inner = {name: tree["backbone"] for name, tree in variables.items() if "backbone" in tree}
            heads = [params[f"{task}_head"] for task, _ in network.heads]
            return Grading(written(network.backbone, inner, shape), heads)
        case models.LSTM():
            return LSTM(network, shape[-1])
        case models.Xception():
            module: nn.Module = Xception(network, *shape[1:])
        case models.UNet():
            module = UNet(network, shape[-1])
        case _:
            raise ValueError(f"{type(network).__name__} is not written in PyTorch here")
    _load(module, params, stats)
    return module


class Grading(nn.Module):
    """A backbone and a linear head a task: `[B, ...]` to the raw outputs of all tasks beside one another."""

    def __init__(self, backbone: nn.Module, heads: Sequence[Mapping[str, np.ndarray]]) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(len(heads[0]["kernel"]), sum(len(head["bias"]) for head in heads))
        _set(self.head.weight, np.concatenate([head["kernel"].T for head in heads]))
        _set(self.head.bias, np.concatenate([head["bias"] for head in heads]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Raw outputs, those of the first task first."""
        return self.head(self.backbone(x))


class Separable(nn.Module):
    """A 3×3 filter per channel, then a 1×1 convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Filter, then mix the channels."""
        return self.pointwise(self.depthwise(x))


class Xception(nn.Module):
    """`models.Xception`, layer by layer: `[B, C, H, W]` to features `[B, D]`."""

    def __init__(self, network: models.Xception, side: int, channels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleDict()
        self.odd = []  # whether pooling meets an odd side, block by block
        norm = dict(eps=network.epsilon, momentum=1 - network.momentum)

        def add(name: str, layer: nn.Module, width: int) -> None:
            self.layers[name], self.layers[f"{name}_bn"] = layer, nn.BatchNorm2d(width, **norm)

        for index, (width, stride) in enumerate(zip(network.stem, (network.stem_stride, 1), strict=True), start=1):
            add(f"block1_conv{index}", nn.Conv2d(channels, width, 3, stride=stride, bias=False), width)
            channels, side = width, (side - 3) // stride + 1
        last = network.exit
        blocks = [*((width, width) for width in network.entry), *[(network.entry[-1],) * 3] * network.middle, last[:2]]
        self.blocks = []  # (number, separable convolutions, whether it halves the image)
        for number, widths in enumerate(blocks, start=2):
            halves = len(widths) == 2
            if halves:
                add(f"block{number}_shortcut", nn.Conv2d(channels, widths[-1], 1, stride=2, bias=False), widths[-1])
                self.odd.append(side % 2)
                side = -(-side // 2)
            for index, width in enumerate(widths, start=1):
                add(f"block{number}_sepconv{index}", Separable(channels, width), width)
                channels = width
            self.blocks.append((number, len(widths), halves))
        for index, width in enumerate(last[2:], start=1):
            add(f"block{number + 1}_sepconv{index}", Separable(channels, width), width)
            channels = width
        self.last = number + 1

    def _apply_layer(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return self.layers[f"{name}_bn"](self.layers[name](x))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features."""
        for index in (1, 2):
            x = F.relu(self._apply_layer(f"block1_conv{index}", x))
        odd = iter(self.odd)
        for number, convolutions, halves in self.blocks:
            residual = self._apply_layer(f"block{number}_shortcut", x) if halves else x
            for index in range(1, convolutions + 1):
                x = self._apply_layer(f"block{number}_sepconv{index}", F.relu(x))
            if halves:  # padded as "SAME": on both sides where the side is odd, else at the end alone
                x = F.max_pool2d(x, 3, 2, padding=1) if next(odd) else F.max_pool2d(x, 3, 2, ceil_mode=True)
            x = x + residual
        for index in (1, 2):
            x = F.relu(self._apply_layer(f"block{self.last}_sepconv{index}", x))
        return x.mean((2, 3))


class UNet(nn.Module):
    """`models.UNet`, layer by layer: `[B, C, H, W]` to mask logits `[B, H, W]`."""

    def __init__(self, network: models.UNet, channels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleDict()
        *levels, bottleneck = network.widths
        norm = dict(eps=network.epsilon, momentum=1 - network.momentum)

        def block(name: str, inputs: int, width: int) -> None:
            for index, before in ((1, inputs), (2, width)):
                self.layers[f"{name}_conv{index}"] = nn.Conv2d(before, width, 3, padding=1)
                self.layers[f"{name}_bn{index}"] = nn.BatchNorm2d(width, **norm)

        for level, width in enumerate(levels, start=1):
            block(f"contraction{level}", channels, width)
            channels = width
        block("bottleneck", channels, bottleneck)
        channels = bottleneck
        for level, width in enumerate(reversed(levels), start=1):
            self.layers[f"expansion{level}_up"] = nn.Conv2d(channels, width, 2)
            block(f"expansion{level}", 2 * width, width)
            channels = width
        self.layers["logits"] = nn.Conv2d(channels, 1, 1)
        self.levels = len(levels)

    def _block(self, name: str, x: torch.Tensor) -> torch.Tensor:
        for index in (1, 2):
            x = self.layers[f"{name}_bn{index}"](F.relu(self.layers[f"{name}_conv{index}"](x)))
        return x

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mask logits."""
        skips = []
        for level in range(1, self.levels + 1):
            skips.append(self._block(f"contraction{level}", x))
            x = F.max_pool2d(skips[-1], 2)
        x = self._block("bottleneck", x)
        for level in range(1, self.levels + 1):
            x = F.pad(F.interpolate(x, scale_factor=2, mode="nearest"), (0, 1, 0, 1))
            x = torch.cat([skips.pop(), self.layers[f"expansion{level}_up"](x)], 1)
            x = self._block(f"expansion{level}", x)
        return self.layers["logits"](x)[:, 0]


class LSTM(nn.Module):
    """`torch.nn.LSTM` behind dropout: its gates are logistic, ours are those of Keras 2, so it takes no weights."""

    def __init__(self, network: models.LSTM, features: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(network.dropout)
        self.lstm = nn.LSTM(features, network.units, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The last hidden state `[B, units]` of `[B, T, D]`."""
        return self.lstm(self.dropout(x))[1][0][-1]


def _load(module: nn.Module, params: Mapping[str, Any], stats: Mapping[str, Any]) -> None:
    """Fill the layers of a network here with our weights and running statistics, arrays by layer and name."""
    for name, layer in module.layers.items():
        match layer:
            case nn.BatchNorm2d():
                _set(layer.weight, params[name]["scale"])
                _set(layer.bias, params[name]["bias"])
                _set(layer.running_mean, stats[name]["mean"])
                _set(layer.running_var, stats[name]["var"])
            case Separable():
                _set(layer.depthwise.weight, params[name]["depthwise_kernel"].transpose(3, 2, 0, 1))
                _set(layer.pointwise.weight, params[name]["pointwise_kernel"].transpose(3, 2, 0, 1))
            case _:
                _set(layer.weight, params[name]["kernel"].transpose(3, 2, 0, 1))
                if layer.bias is not None:
                    _set(layer.bias, params[name]["bias"])


def _set(target: torch.Tensor, values: np.ndarray) -> None:
    with torch.no_grad():
        target.copy_(torch.from_numpy(np.array(values)))
