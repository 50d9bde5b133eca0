"""The U-Net at work: alone while it learns masks, then from whole frames to crops."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ordinal_blast.embryo.windows import area_and_centre, crop, resize

Outputs = Mapping[str, jax.Array]


class Segmenter(nn.Module):
    """A segmentation network whose output stands under "mask", so that it trains as a grader does."""

    network: nn.Module

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool, keys: Any = None, mask: Any = None) -> dict[str, jax.Array]:
        """Images `[B, H, W, F]` to mask logits `{"mask": [B, H, W]}`."""
        return {"mask": self.network(x, train=train, keys=keys, mask=mask)}


class CropFrames(nn.Module):
    """Frames to crops: mask of the shrunken frame, its centre of mass, a window around it, resized.

    segmenter: trained on `mask_size` pixels; planes: which focal planes it reads; share: the window's side over the
    frame's; size: of the crop, in pixels. around: "embryo" for the mask that the segmenter finds, "mask" for a true
    one, the last channel of the frames, "centre" for the middle of the frame, "frame" for all of it.
    """

    segmenter: Segmenter
    planes: tuple[int, ...]
    mask_size: int
    share: float
    size: int
    around: str = "embryo"

    def __call__(self, frames: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """Frames uint8 `[B, H, W, F]` to crops uint8 `[B, size, size, F]` and area `[B]`, what is found."""
        small = shrink(frames[..., list(self.planes)], self.mask_size)
        area, centre = area_and_centre(self.segmenter(small, train=train)["mask"])
        if self.around == "mask":
            frames, mask = frames[..., :-1], frames[..., -1]
            _, centre = area_and_centre(mask.astype(jnp.float32))
        elif self.around != "embryo":
            centre = jnp.full_like(centre, 0.5)
        share = 1.0 if self.around == "frame" else self.share
        return {"area": area, "crops": crop(frames, centre, share, self.size)}


def shrink(frames: jax.Array, size: int) -> jax.Array:
    """Frames uint8 `[B, H, W, F]` as the segmenter sees them, uint8 `[B, size, size, F]`."""
    return resize(frames, size).round().astype(frames.dtype)


@dataclasses.dataclass(frozen=True)
class DiceLoss:
    """1 − (2 Σ p m + 1) / (Σ p + Σ m + 1) per image, weighted mean over images (Milletari et al. 2016)."""

    def __call__(self, outputs: Outputs, labels: Outputs, weights: Outputs) -> jax.Array:
        """Mask logits `[B, H, W]`, masks `[B, H, W]` in {0, 1} and weights `[B]`, all under "mask", to one scalar."""
        probability = jax.nn.sigmoid(outputs["mask"].astype(jnp.float32))
        mask = labels["mask"].astype(jnp.float32)
        both = jnp.sum(probability * mask, axis=(1, 2))
        sizes = jnp.sum(probability, axis=(1, 2)) + jnp.sum(mask, axis=(1, 2))
        losses = 1 - (2 * both + 1) / (sizes + 1)
        weight = weights["mask"]
        return jnp.sum(weight * losses) / jnp.maximum(jnp.sum(weight), 1e-12)


@dataclasses.dataclass(frozen=True)
class PixelCrossEntropy:
    """−mean over pixels of m log p + (1 − m) log(1 − p) per image, weighted mean over images; takes what Dice does."""

    def __call__(self, outputs: Outputs, labels: Outputs, weights: Outputs) -> jax.Array:
        """Mask logits `[B, H, W]`, masks `[B, H, W]` in {0, 1} and weights `[B]`, all under "mask", to one scalar."""
        logits, mask = (x["mask"].astype(jnp.float32) for x in (outputs, labels))
        losses = jnp.mean(jax.nn.softplus(logits) - mask * logits, axis=(1, 2))
        weight = weights["mask"]
        return jnp.sum(weight * losses) / jnp.maximum(jnp.sum(weight), 1e-12)


LOSSES: Mapping[str, Callable[[Outputs, Outputs, Outputs], jax.Array]] = {
    "dice": DiceLoss(),
    "cross_entropy": PixelCrossEntropy(),
}


@dataclasses.dataclass(frozen=True)
class OnInputsAndMask:
    """The same random view of an image and of the mask that stands under "mask" in the labels."""

    view: Callable[[jax.Array, jax.Array], jax.Array]

    def __call__(self, keys: jax.Array, inputs: jax.Array, labels: Mapping[str, jax.Array]) -> tuple[jax.Array, Any]:
        """Images `[B, H, W, F]` and masks `[B, H, W]` in {0, 1}, one of the keys `[B]` for each."""
        masks = labels["mask"][..., None].astype(jnp.float32)
        both = self.view(keys, jnp.concatenate([inputs.astype(jnp.float32), masks], axis=-1))
        mask = jnp.round(both[..., -1])
        return jnp.round(both[..., :-1]).astype(inputs.dtype), {**labels, "mask": mask}
