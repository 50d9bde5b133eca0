"""From a configuration to what is trained: a model of one's own joins as CONTRIBUTING says."""

import json

import flax.linen as nn
import pytest

from ordinal_blast.study import configuration, grid, limits, problems, runner, session

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
    config = configuration.load("retinamnist", tiny_overrides)
    with config.unlocked():
        config.brightness = {"model": {"width": 3}, "training": config.cnn.training}
        config.chain = ("brightness",)
        del config.cnn
    assert runner.run(grid.single(config), tmp_path, "the command", session.begin(1)) == []
    (file,) = tmp_path.glob("cells/*/result.json")
    (trained,) = json.loads(file.read_text())["training"]
    assert trained["model"] == "brightness"
    assert trained["parameters"] == 3 * (3 + 1) + 3 * (3 + 1)  # the layer, and a softmax head of three grades
