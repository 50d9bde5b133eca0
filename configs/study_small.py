"""The paper's whole study on a desk: the structure of configs/paper.py, with fewer embryos, smaller crops and networks.

Command   ordinal-blast study --config configs/study_small.py --workdir runs/study_small --seeds 5
Hardware  2 CPU cores
Wall time its first seven questions, 330 of 430 cells, took 91 min beside other work
Score     5 seeds, ordinal cross-entropy, mean ± s.d. over seeds, recurrent network: ICM accuracy .552 ± .029, absolute
          error .476 ± .033; TE .646 ± .025, .369 ± .029. The CNN at tA: .543 ± .017, .494 ± .021; .627 ± .011,
          .389 ± .010
"""

from ml_collections import ConfigDict
from paper import get_config as get_paper


def get_config() -> ConfigDict:
    """What differs from configs/paper.py: sizes, and rates that fit them."""
    config = get_paper()
    config.name = "study_small"
    config.data.options.embryos = 4500
    config.data.split = dict(by="group")
    config.data.split.fractions = (0.6, 0.1, 0.3)  # more to test on: what is small here are differences
    config.cropper.update(images=1000, side=80, size=32, network=dict(options=dict(widths=(8, 16, 32), momentum=0.9)))
    config.cropper.optimizer = dict(learning_rate=3e-3)
    config.cropper.training.update(batch_size=32, epochs=30)
    config.crops.update(start_hpi=104.0, stop_hpi=126.0, step_h=2.0, size=48)
    config.cnn.network.options.update(stem=(16, 32), entry=(32, 64), middle=1, exit=(64, 96, 96, 96), momentum=0.9)
    config.cnn.optimizer = dict(learning_rate=2e-3)
    config.cnn.training.update(batch_size=32, epochs=8)
    config.cnn.schedule.options.patience = 1
    config.sequences.max_frames = 8
    config.rnn.optimizer = dict(learning_rate=3e-3)
    config.rnn.training.update(epochs=12, checkpoint_every=4)
    config.rnn.schedule.options.patience = 2
    return config
