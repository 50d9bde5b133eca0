"""From a configuration to what is trained, checked link by link; a model of one's own joins as CONTRIBUTING says."""

import dataclasses
import json

import flax.linen as nn
import pytest

from ordinal_blast.errors import UsageError
from ordinal_blast.report.measures import PRIMARY, SECONDARY
from ordinal_blast.study import configuration, grid, limits, problems, runner, session
from ordinal_blast.training.loop import Schedule
from ordinal_blast.training.selection import HIGHER, LOWER

pytestmark = pytest.mark.usefixtures("compile_quickly")  # tests/training checks the optimised code


class Brightness(nn.Module):
    """The mean colour, then one dense layer."""

    width: int = 4

    @nn.compact
    def __call__(self, x, *, train, keys=None, mask=None):
        return nn.relu(nn.Dense(self.width)(x.mean(axis=(1, 2)) / 255))


def test_a_model_joins_by_a_row_in_each_of_two_tables_and_a_section(tmp_path, tiny_overrides, monkeypatch):
    monkeypatch.setitem(problems.BACKBONES, "brightness", Brightness)
    monkeypatch.setitem(limits.ALONE, "brightness", "image")
    config = configuration.load("retinamnist", tiny_overrides | {"cnn.training.epochs": 1})
    with config.unlocked():
        config.brightness = {"model": {"width": 3}, "training": config.cnn.training}
        config.chain = ("brightness",)
        del config.cnn
    assert runner.run(grid.single(config), tmp_path, "the command", session.begin(1)) == []
    (file,) = tmp_path.glob("cells/*/result.json")
    (trained,) = json.loads(file.read_text())["training"]
    assert trained["model"] == "brightness"
    assert trained["parameters"] == 3 * (3 + 1) + 3 * (3 + 1)  # the layer, and a softmax head of three grades


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("cnn.training.batch_size", 0, "cnn.training.batch_size is 0: it takes a whole number from 1 on"),
        ("rnn.training.learning_rate", -1.0, "rnn.training.learning_rate is -1.0: it takes a number above 0"),
        ("cropper.training.weight_decay", -0.1, "cropper.training.weight_decay is -0.1"),
        ("cropper.training.plateau_factor", 0.0, "cropper.training.plateau_factor is 0.0"),
        ("rnn.training.checkpoint_every", 0, "rnn.training.checkpoint_every is 0"),
        ("cnn.training.select", "seconds", "cnn.training.select is 'seconds': it takes one of 'val_loss', 'val_qwk'"),
        ("cropper.training.select", "val_qwk", "cropper.training.select is 'val_qwk': it takes one of 'val_loss'"),
        ("rnn.model.dropout", 2.0, "rnn.model.dropout is 2.0: it takes a number of at least 0 and below 1"),
        ("cropper.model.widths", (0,), "cropper.model.widths is (0,): it takes at least one value"),
        ("cnn.model.depthwise", "fast", "cnn.model: depthwise form 'fast' is unknown"),
        ("cropper.augment.options.zoom", (1.1, 0.8), "cropper.augment.options.zoom is (1.1, 0.8)"),
        ("cnn.augment.name", "affin", "cnn.augment: affin is no view"),
    ],
)
def test_the_setting_that_cannot_be_is_named_with_its_link(setting, value, message):
    with pytest.raises(UsageError) as refused:
        problems.check(configuration.load("configs/demo.py", {setting: value}))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_grader_may_select_any_measure_of_its_validation_set():
    section = dict.fromkeys((field.name for field in dataclasses.fields(Schedule)), 1) | {"balance": ""}
    for select in ("val_loss", "val_qwk", "val_mae", "val_rmse"):
        assert problems.schedule("cnn", section | {"select": select}).select == select


def test_a_measure_that_selects_is_better_where_the_report_says_so():
    higher = {f"val_{measure.key}": measure.higher for measure in (*PRIMARY, *SECONDARY)}
    for name, direction in problems.MEASURES.items():
        assert direction == (HIGHER if higher[name] else LOWER)


@pytest.mark.parametrize("devices", [-1, 1.5])
def test_a_number_of_devices_that_means_nothing_is_refused(devices):
    with pytest.raises(UsageError, match=rf"^devices is {devices}: it takes a whole number from 0 on"):
        session.begin(devices)
