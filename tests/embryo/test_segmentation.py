"""The cropper learns from images and masks that move together."""

import jax
import jax.numpy as jnp
import numpy as np

from ordinal_blast import schema
from ordinal_blast.data import augment
from ordinal_blast.embryo import clips, cropping, crops, sequences
from ordinal_blast.embryo.segmentation import LOSSES, DiceLoss, OnInputsAndMask
from ordinal_blast.settings import GraderSettings

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


def test_how_well_a_mask_is_met_is_twice_the_overlap_over_both_and_one_where_nothing_is_to_be_seen():
    masks = np.zeros((4, 2, 4), bool)
    predicted = masks.copy()
    masks[0, 0, :2] = predicted[0, 0, 1:] = True  # 2 and 3 pixels, 1 of them in both
    masks[1] = predicted[1] = True
    predicted[2, 0, 0] = True
    assert cropping.dice(predicted, masks).tolist() == [2 / 5, 1, 0, 1]


def test_what_is_not_stated_of_croppers_crops_and_sequences_is_this():
    cropper, crop, sequence = (
        {leaf.key: leaf.value for leaf in schema.leaves(section())}
        for section in (cropping.CropperSettings, crops.CropSettings, sequences.SequenceSettings)
    )
    learning = {leaf.key: leaf.value for leaf in schema.leaves(GraderSettings())}
    own = {key: value for key, value in cropper.items() if learning.get(key) != value}
    assert own == {
        "seed": 0,
        "size": 64,
        "planes": (-45.0, 0.0, 45.0),
        "frames_per_embryo": 1,
        "loss": "dice",
        "network.name": "unet",
    }
    assert set(learning) - set(cropper) == {"reads", "standardize"}
    assert {key: value for key, value in crop.items() if key != "stage"} == {
        "start_hpi": 90.0,
        "stop_hpi": 128.0,
        "step_h": 1.0,
        "around": "embryo",
        "crop_share": 0.8,
        "size": 224,
        "planes": (-45.0, 0.0, 45.0),
        "cnn_time": "tA",
        "time_shifts_h": (-0.5, 0.0, 0.5),
        "focal_planes": 1,
        "plane_um": 15.0,
    }
    assert (sequence["max_frames"], sequence["order"]) == (30, "chronological")
    assert clips.ClipSettings().max_frames == 30


def test_the_cross_entropy_of_pixels_is_the_mean_over_pixels_and_weighted_over_images():
    rng = np.random.default_rng(0)
    logits, masks = rng.normal(0, 3, (3, 4, 4)), rng.integers(0, 2, (3, 4, 4))
    p = 1 / (1 + np.exp(-logits))
    of_images = -(masks * np.log(p) + (1 - masks) * np.log(1 - p)).mean((1, 2))
    weights = np.asarray([1.0, 3.0, 0.0])
    got = LOSSES["cross_entropy"](
        {"mask": np.float32(logits)}, {"mask": np.float32(masks)}, {"mask": np.float32(weights)}
    )
    np.testing.assert_allclose(got, (of_images[0] + 3 * of_images[1]) / 4, rtol=1e-5)
