"""The cropper learns from images and masks that move together."""

import jax
import jax.numpy as jnp
import numpy as np

from ordinal_blast.data import augment
from ordinal_blast.embryo.segmentation import DiceLoss, OnInputsAndMask

KEYS = jax.random.split(jax.random.key(0), 40)


def test_dice_loss_is_the_formula():
    logits = jnp.log(jnp.asarray([[[0.25, 1.0], [3.0, 1.0]], [[1.0, 1.0], [1.0, 1.0]]]))
    masks = jnp.asarray([[[0.0, 1.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    first = 1 - (2 * (0.5 + 0.75) + 1) / ((0.2 + 0.5 + 0.75 + 0.5) + 2 + 1)
    second = 1 - 1 / (2 + 1)
    loss = DiceLoss()({"mask": logits}, {"mask": masks}, {"mask": jnp.asarray([3.0, 1.0])})
    np.testing.assert_allclose(loss, (3 * first + second) / 4, rtol=1e-6)


def test_image_and_mask_move_together():
    images = np.zeros((40, 16, 16, 1), np.uint8)
    images[:, 3:9, 5:12] = 200
    masks = (images[..., 0] > 0).astype(np.float32)
    view = OnInputsAndMask(augment.Affine(True, False, 10.0, 0.2, (1.0, 1.0)))
    moved, labels = view(KEYS, jnp.asarray(images), {"mask": jnp.asarray(masks)})
    moved = np.asarray(moved[..., 0], int)
    clear = np.abs(moved - 100) > 1  # at half brightness rounding decides
    np.testing.assert_array_equal(np.asarray(labels["mask"])[clear], (moved > 100)[clear])
    assert clear.mean() > 0.95
