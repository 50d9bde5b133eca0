"""Small time-lapse studies on simulated wells."""

import pytest

from ordinal_blast import settings
from ordinal_blast.study import plan as plans
from ordinal_blast.study import runner, session


@pytest.fixture(scope="session")
def small():
    """Overrides of configs/demo.py, and of recorded_config.py, for frames and networks of seconds."""
    return {
        "devices": 1,
        "crops.size": 16,
        "cropper.size": 16,
        "cropper.network.options": {"widths": (4, 4), "momentum": 0.9},
        "cnn.network.options": {"stem": (4, 4), "entry": (4,), "middle": 0, "exit": (4, 4, 4, 6), "stem_stride": 1},
        **{f"{stage}.training.{name}": value for stage in ("cropper", "cnn") for name, value in ONE_EPOCH.items()},
    }


@pytest.fixture(scope="session")
def whole(small):
    """The same for the whole chain, whose LSTM reads three frames."""
    return small | {
        "crops.start_hpi": 96.0,
        "crops.stop_hpi": 118.0,
        "crops.step_h": 11.0,
        "sequences.max_frames": 3,
        "rnn.network.options": {"units": 4},
        "rnn.training.epochs": 1,
        "rnn.training.batch_size": 8,
    }


ONE_EPOCH = {"epochs": 1, "batch_size": 8}


@pytest.fixture(scope="session")
def ran():
    """`ran(folder, variants, overrides, config)`: the folder of a finished run."""

    def run(folder, variants, overrides, config):
        plan = plans.of_variants("A question?", variants, settings.load(config, overrides), 1)
        assert runner.run(plan, folder / "run", "the command", session.begin(1)) == []
        return folder / "run"

    return run
