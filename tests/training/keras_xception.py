"""Run by a test with Keras: Xception with random weights, saved in every format, and its features of four images."""

import sys
from pathlib import Path

import keras
import numpy as np

folder = Path(sys.argv[1])
keras.layers.Conv2D(1, 1)  # so that the layers that Keras numbers do not begin at 0
model = keras.applications.Xception(weights=None, include_top=True, input_shape=(71, 71, 3), classes=4)
headless = keras.Model(model.input, model.get_layer("block14_sepconv2_act").output)
rng = np.random.default_rng(0)
for layer in model.layers:
    if isinstance(layer, keras.layers.BatchNormalization):
        shape = layer.gamma.shape
        layer.set_weights([rng.uniform(*ends, shape) for ends in ((0.5, 2), (-0.5, 0.5), (-0.2, 0.2), (0.2, 2))])
model.save(folder / "top.h5")
for suffix in ("h5", "keras"):
    headless.save(folder / f"headless.{suffix}")
headless.save_weights(folder / "headless.weights.h5")
images = np.random.default_rng(1).integers(0, 256, (4, 71, 71, 3), np.uint8)
pooled = keras.layers.GlobalAveragePooling2D()(headless.output)
features = keras.Model(model.input, pooled).predict(images / np.float32(127.5) - 1, verbose=0)
np.savez(folder / "features.npz", images=images, features=features)
