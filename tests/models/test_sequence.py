import flax.linen as nn
import jax
import numpy as np

from ordinal_blast.models import LSTM, FrameSequence
from ordinal_blast.models.normalization import BatchNorm


class Pixels(nn.Module):
    """The batch-normalised pixels of an image as its features."""

    @nn.compact
    def __call__(self, x, *, train, keys=None, mask=None):
        return BatchNorm(momentum=0.0)(x.reshape(len(x), -1), train=train, mask=mask)


def test_padding_frames_and_rows_count_neither_as_images_nor_as_features():
    x = np.random.default_rng(0).normal(2, 3, (3, 4, 2, 2, 1)).astype(np.float32)
    x[1, 2:] = 0
    mask = np.array([True, True, False])
    model = FrameSequence(Pixels(), LSTM(3, masking=True))
    variables = model.init(jax.random.key(0), x, train=False)
    got, updates = model.apply(variables, x, train=True, mask=mask, mutable=["batch_stats"])

    images = np.concatenate([x[0], x[1, :2]]).reshape(6, 4)
    (stats,) = updates["batch_stats"]["frame"].values()
    np.testing.assert_allclose(stats["mean"], images.mean(0), rtol=1e-5)
    np.testing.assert_allclose(stats["var"], images.var(0), rtol=1e-4)

    features = (images - images.mean(0)) / np.sqrt(images.var(0) + 1e-3)
    lstm = {"params": variables["params"]["sequence"]}
    for row, frames in enumerate((features[:4], features[4:])):
        expected = LSTM(3).apply(lstm, np.float32(frames)[None], train=False)
        np.testing.assert_allclose(got[row], expected[0], rtol=1e-3, atol=1e-5)
