"""The whole chain in minutes on a laptop: small simulated embryos, small networks, every stage real.

Command   ordinal-blast demo
Hardware  2 CPU cores, 3 GB of memory
Wall time 2 min 50 s, compilation included
Score     test QWK of the LSTM, mean of two seeds: see reports/demo; cross-entropies .5 to .6 for ICM and TE
"""

from ml_collections import ConfigDict
from paper import get_config as get_paper


def get_config() -> ConfigDict:
    """configs/paper.py with fewer, smaller and coarser frames, smaller networks, shorter training at higher rates.

    Its augmentation is another too: the CNN sees quarter turns and flips, not other focal planes and times.
    """
    config = get_paper()
    config.update(name="demo", class_weights="inverse_frequency", divide_by="weights", questions=())
    config.data.options.update(embryos=800, panel=0)
    config.data.split = dict(by="group")
    config.data.split.fractions = (0.6, 0.15, 0.25)
    config.cropper.update(images=1000, side=60, size=32, network=dict(options=dict(widths=(8, 16, 32), momentum=0.9)))
    config.cropper.update(
        optimizer=dict(learning_rate=3e-3), training=dict(batch_size=32, epochs=30, steps_per_dispatch=1)
    )
    config.crops.update(start_hpi=96.0, step_h=4.0, time_shifts_h=(0.0,), focal_planes=0, size=48)
    config.cnn.network.options.update(stem=(16, 32), entry=(32, 64), middle=1, exit=(64, 96, 96, 96), momentum=0.9)
    config.cnn.update(augment=dict(name="quarter"), optimizer=dict(learning_rate=2e-3))
    config.cnn.training.update(batch_size=32, epochs=10, steps_per_dispatch=1)
    config.cnn.schedule.options.patience = 2
    config.sequences.max_frames = 8
    config.rnn.optimizer = dict(learning_rate=3e-3)
    config.rnn.training.update(epochs=20, checkpoint_every=5)
    return config
