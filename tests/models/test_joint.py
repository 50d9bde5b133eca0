"""A network of frames and one of sequences, by name, as one."""

import jax
import numpy as np
import pytest

from ordinal_blast.errors import UsageError
from ordinal_blast.models import LSTM, networks
from ordinal_blast.models.frame_pooling import MeanPooling
from ordinal_blast.models.xception import Xception
from ordinal_blast.settings import NetworkSettings

SMALL = {"stem": (4, 4), "entry": (4,), "middle": 0, "exit": (4, 4, 4, 6), "stem_stride": 1}
FRAME = {"name": "xception", "options": SMALL}


def make(**parts):
    return networks.make(NetworkSettings("frames", parts), "rnn.network")


def test_the_joint_network_is_the_frame_network_and_then_the_sequence_network():
    clips = np.random.default_rng(0).integers(1, 255, (2, 3, 16, 16, 3), np.uint8)
    clips[1, 2:] = 0
    model = make(frame=FRAME, sequence={"name": "lstm", "options": {"units": 3}})
    variables = model.init(jax.random.key(0), clips, train=False)
    got = model.apply(variables, clips, train=False)
    part = {name: {"params": variables["params"][name]} for name in ("frame", "sequence")}
    part["frame"]["batch_stats"] = variables["batch_stats"]["frame"]
    network = Xception(**SMALL, axis_name="batch")
    features = network.apply(part["frame"], clips.reshape(6, 16, 16, 3), train=False).reshape(2, 3, -1)
    features = features * (clips != 0).any((2, 3, 4))[..., None]
    np.testing.assert_allclose(got, LSTM(3).apply(part["sequence"], features, train=False), rtol=1e-4, atol=1e-6)


def test_networks_of_both_places_are_the_ones_that_are_named_and_it_reads_clips():
    model = make(frame=FRAME, sequence={"name": "mean", "options": {"units": 5}})
    assert model.sequence == MeanPooling(units=5)
    assert networks.reads(NetworkSettings("frames")) == "clips"


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"frame": {"name": "mine.py:Net"}}, "a section with the name of a network of the package"),
        ({"sequence": {"options": {}}}, "a section with the name of a network of the package"),
        ({"frame": {"name": "xception", "init_from": "x"}}, "a section with the name of a network of the package"),
        ({"sequence": {"name": "lstm", "options": {"units": 0}}}, r"^rnn.network.options.sequence.options.units is 0"),
        ({"sequence": {"name": "lstm", "options": {"unit": 1}}}, r"^rnn.network.options.sequence.options has no unit"),
    ],
)
def test_a_part_that_cannot_be_is_refused_by_its_place(parts, message):
    with pytest.raises(UsageError, match=message):
        make(**parts)
