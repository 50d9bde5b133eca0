"""A network over frames followed by one over their features, so that both can be trained together."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp


class FrameSequence(nn.Module):
    """Sequences of images `[B, T, H, W, C]` to `[B, D]`: `frame` reads each image, `sequence` the features `[B, T, D]`.

    All-zero frames are padding: they are left out of batch statistics and their features are zero, as they are where
    the sequence network trains on stored features.
    """

    frame: nn.Module
    sequence: nn.Module

    def __call__(
        self, x: jax.Array, *, train: bool, keys: jax.Array | None = None, mask: jax.Array | None = None
    ) -> jax.Array:
        """Return features `[B, D]`; keys `[B]` draw the dropout of both networks, mask `[B]` marks padding False."""
        batch, frames = x.shape[:2]
        present = (x != 0).any((2, 3, 4))
        counted = present if mask is None else present & mask[:, None]
        frame_keys = None if keys is None else jax.vmap(lambda key: jax.random.split(key, frames))(keys).reshape(-1)
        images = x.reshape(batch * frames, *x.shape[2:])
        features = self.frame(images, train=train, keys=frame_keys, mask=counted.reshape(-1))
        features = jnp.where(present[..., None], features.reshape(batch, frames, -1), 0)
        return self.sequence(features, train=train, keys=keys, mask=mask)
