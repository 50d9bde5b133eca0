"""What a part of one's own does wrong is refused before any work, in one line that names it."""

import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from ordinal_blast import settings
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.study import identity, plan, runner, session

MINE = """
import flax.linen as nn
import jax.numpy as jnp
import numpy as np


class Net(nn.Module):
    gives: str = "tuple"
    reads = "images"

    @nn.compact
    def __call__(self, x, train):
        h = nn.Dense(4)(x.mean(axis=(1, 2)))
        match self.gives:
            case "tuple":
                return h, h
            case "positions":
                return x
            case "nothing":
                return h[:, :0]
            case "whole":
                return jnp.round(h).astype(int)
            case "half":
                return h[:1]
            case "narrower":
                return h[:, :2] if train else h
            case "more":
                return nn.Dense(4)(h) if train else h
            case "error":
                return 1 / 0 if train else h
            case "counter":
                self.variable("counters", "n", lambda: jnp.zeros(()))
                return h


def falls(progress):
    return -progress


def stands(progress):
    return 0 * progress


def unknown(progress):
    return progress * jnp.nan


def crops(keys, images):
    return images[:, 1:]


def floats(probs):
    return probs.argmax(axis=1).astype(float)


def overwrites(probs):
    probs[:] = 0
    return np.zeros(len(probs), int)


def several(labels, grades, *, num_classes, probs):
    return np.ones(3)


def forgets(labels, grades, *, num_classes, probs):
    labels[:] = 0
    return 1.0


def accuracy(labels, grades, *, num_classes, probs):
    return 1.0


def undecided(labels, grades, *, num_classes, probs):
    return 1.0


undecided.higher_is_better = "perhaps"
"""


def study(root, changes):
    return runner.run(plan.single(settings.load("retinamnist", changes)), root, "", session.begin(1))


@pytest.fixture
def refused(tmp_path, tiny_overrides):
    """refused(changes) runs a study with these changes of the settings; returns why it was refused."""
    (tmp_path / "mine.py").write_text(MINE)

    def run(changes):
        changes = {key: value.replace("mine.py", f"{tmp_path}/mine.py") for key, value in changes.items()}
        with pytest.raises(UsageError) as told:
            study(tmp_path / "run", tiny_overrides | changes)
        assert not (tmp_path / "run").exists()
        return str(told.value).replace(f"{tmp_path}/", "")

    return run


@pytest.mark.parametrize(
    ("gives", "message"),
    [
        ("tuple", "the network gives a tuple for 2 examples: it has to give features [B, D] of floats"),
        ("positions", "the network gives float32 [2, 16, 16, 3] for 2 examples"),
        ("nothing", "the network gives float32 [2, 0] for 2 examples"),
        ("whole", "the network gives int32 [2, 4] for 2 examples"),
        ("half", "the network gives float32 [1, 4] for 2 examples"),
        ("narrower", "it raises: ScopeParamShapeError: "),
        ("more", "Net: ScopeParamNotFoundError: "),
        ("error", "Net: ZeroDivisionError: division by zero"),
        ("counter", "the network keeps counters: only params and batch_stats are trained"),
    ],
)
def test_a_network_that_cannot_train_at_rest_or_in_a_step(refused, gives, message):
    told = refused({"cnn.network": f"{{'name': 'mine.py:Net', 'options': {{'gives': {gives!r}}}}}"})
    assert told.startswith(f"cnn.network mine.py:Net on images (16, 16, 3): {message}")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cnn.schedule": "mine.py:falls"}, "cnn.schedule.name is mine.py:falls, whose factors are -0, -0.125, -0.25"),
        ({"cnn.schedule": "mine.py:stands"}, "cnn.schedule.name is mine.py:stands, whose factors are 0, 0, 0"),
        ({"cnn.schedule": "mine.py:unknown"}, "cnn.schedule.name is mine.py:unknown, whose factors are nan, nan"),
        (
            {"cnn.augment": "mine.py:crops"},
            r".*mine.py:crops gives uint8 \[2, 15, 16, 3\] of uint8 \[2, 16, 16, 3\]: it",
        ),
        (
            {"objective.rule": "mine.py:floats"},
            r"objective.rule mine.py:floats gives float64 \(30,\) for probabilities",
        ),
        (
            {"objective.rule": "mine.py:overwrites"},
            "objective.rule mine.py:overwrites raised: ValueError: .* read-only",
        ),
        ({"measures": "mine.py:several"}, "the measure mine.py:several raised: TypeError"),
        ({"measures": "mine.py:forgets"}, "the measure mine.py:forgets raised: ValueError: .* read-only"),
        ({"measures": "mine.py:accuracy"}, "measures has mine.py:accuracy, and there is a measure accuracy already"),
        ({"measures": "mine.py:undecided"}, "mine.py:undecided.higher_is_better is 'perhaps': it takes True or False"),
        ({"measures": "accuracy"}, r"measures\[0\] is 'accuracy': it takes one of your own as package.module:thing or"),
        ({"cnn.optimizer.accumulate": "7"}, "cnn.optimizer.accumulate is 7: training has 6 batches, not enough for"),
        ({"chain": "a/b"}, r"chain is \('a/b',\): it takes one name or more, each once and without dots and slashes"),
        ({"report.published": "{'mae': 0.5}"}, "report.published is {'mae': 0.5}: it takes a source and values"),
        ({"report.published": "{'source': '', 'values': {'a': {'mae': 1}}}"}, "report.published is"),
    ],
)
def test_what_would_have_cost_the_training(refused, changes, message):
    assert re.match(message, refused({"cnn.training.batch_size": "30", **changes}))


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("nowhere", "init_from is nowhere: it has to be a folder where a model was trained"),
        ("other.safetensors", "other.safetensors does not fit the network: batch_stats/backbone/"),
        ("damaged.safetensors", "cannot read the weights damaged.safetensors: SafetensorError"),
    ],
)
def test_weights_that_do_not_fit(tmp_path, tiny_overrides, monkeypatch, start, message):
    monkeypatch.chdir(tmp_path)
    save_file({"dense.kernel": np.zeros((2, 2), np.float32)}, "other.safetensors")
    Path("damaged.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    with pytest.raises(UserError) as told:
        study(tmp_path / "run", tiny_overrides | {"cnn.network.init_from": start})
    assert str(told.value).startswith(f"cnn.network xception on images (16, 16, 3): {message}")
    assert not (tmp_path / "run").exists()


def test_weights_to_start_from_belong_to_the_cell(tmp_path, tiny_overrides):
    start = f"{tmp_path}/weights.safetensors"
    chosen = settings.load("retinamnist", tiny_overrides | {"cnn.network.init_from": start})
    codes = []
    for value in (0, 1):
        save_file({"dense.kernel": np.full((2, 2), value, np.float32)}, start)
        codes.append(identity.of_code(chosen))
    assert identity.differing(*codes) == [start]
    assert start not in identity.of_code(settings.load("retinamnist", tiny_overrides))
