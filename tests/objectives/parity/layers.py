"""Parameters given to peers: layers with set weights, shapes of soft labels."""

from __future__ import annotations

import numpy as np
import spacecutter.models
import torch
from dlordinal import output_layers


def clm(link: str, thresholds: torch.Tensor) -> torch.nn.Module:
    layer = output_layers.CLM(len(thresholds) + 1, link).double()
    layer.thresholds_b_.data, layer.thresholds_a_.data = thresholds[:1], torch.sqrt(torch.diff(thresholds))
    return layer


def identity(layer: torch.nn.Module) -> torch.nn.Module:
    """The layer, in double precision, with the features themselves as what its linear map gives."""
    for name, linear in layer.named_children():
        linear.weight.data = torch.eye(2)[:1] if name == "mu_layer" else torch.eye(2)[1:]
        linear.weight.data = (
            linear.weight.data[:, -linear.in_features :] if linear.in_features > 1 else torch.ones(1, 1)
        )
        linear.bias.data.zero_()
    return layer.double()


def gaussian(num_classes: int) -> torch.nn.Module:
    return identity(output_layers.GaussianUncertaintyLayer(2, num_classes))


def spacecutter_link(thresholds: torch.Tensor) -> torch.nn.Module:
    link = spacecutter.models.LogisticCumulativeLink(len(thresholds) + 1)
    link.cutpoints.data = thresholds
    return link


def beta_shapes(num_classes: int) -> np.ndarray:
    """Shapes of beta distributions around each label, `[K, 2]`: mean mid-bin, deviation half a bin; Beta(1, 2K - 2)."""
    mean = (np.arange(num_classes) + 0.5) / num_classes
    total = mean * (1 - mean) * 4 * num_classes**2 - 1
    shapes = np.stack([mean * total, (1 - mean) * total], axis=1)
    shapes[0], shapes[-1] = [1, 2 * num_classes - 2], [2 * num_classes - 2, 1]
    return shapes
