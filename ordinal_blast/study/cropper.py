"""The U-Net at work: alone while it learns masks, then from whole frames to crops."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax

from ordinal_blast.data.crop import area_and_centre, crop, resize


class Segmenter(nn.Module):
    """A segmentation network whose output stands under "mask", so that it trains as a grader does."""

    network: nn.Module

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool, keys: Any = None, mask: Any = None) -> dict[str, jax.Array]:
        """Images `[B, H, W, F]` to mask logits `{"mask": [B, H, W]}`."""
        return {"mask": self.network(x, train=train, keys=keys, mask=mask)}


class Cropper(nn.Module):
    """Frames to crops: mask of the shrunken frame, its centre of mass, a window around it, resized.

    segmenter: trained on `mask_size` pixels; planes: which focal planes it reads; share: the window's side over the
    frame's; size: of the crop, in pixels.
    """

    segmenter: Segmenter
    planes: tuple[int, ...]
    mask_size: int
    share: float
    size: int

    def __call__(self, frames: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """Frames uint8 `[B, H, W, F]` to crops uint8 `[B, size, size, F]` and area `[B]`, the embryo's share."""
        small = cropper_input(frames[..., list(self.planes)], self.mask_size)
        area, centre = area_and_centre(self.segmenter(small, train=train)["mask"])
        return {"area": area, "crops": crop(frames, centre, self.share, self.size)}


def cropper_input(frames: jax.Array, size: int) -> jax.Array:
    """Frames uint8 `[B, H, W, F]` as the cropper sees them, uint8 `[B, size, size, F]`."""
    return resize(frames, size).round().astype(frames.dtype)
