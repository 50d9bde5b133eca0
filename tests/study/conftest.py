"""Small time-lapse studies, and which settings a study reads: one that nothing reads is a promise nothing keeps."""

import contextlib
import sys

import pytest
from ml_collections import ConfigDict

from ordinal_blast.study import configuration

ELSEWHERE = (
    "devices",  # to begin the session
    "name",  # to make the plan
    "seed_also_sets",
    "report.published.",  # kept as it is for the report
)
OF_A_DIVISION = ("data.split.fractions", "data.split.seed")  # nothing to divide where a split is official


@pytest.fixture(scope="module")
def reading():
    """`with reading() as unread: ...; unread(configs)`: the dotted settings that none of these was asked for.

    Hashing, writing and copying a whole configuration is not reading it; giving a section to a function is.
    """
    return _reading


@contextlib.contextmanager
def _reading():
    seen, alive = set(), []  # who is asked stays alive, so that no other takes its id
    one = ConfigDict.__getitem__
    aside = {"flat", "plain", "to_dict"}  # who goes through a configuration to hash, write or copy it

    def read(self, key):
        frame = sys._getframe(1)
        while frame.f_globals["__name__"].startswith("ml_collections") and frame.f_code.co_name not in aside:
            frame = frame.f_back
        if frame.f_code.co_name not in aside:
            seen.add((id(self), key))
            alive.append(self)
        return one(self, key)

    def was_read(config, key):
        *parents, leaf = key.split(".")
        for parent in parents:
            config = one(config, parent)
        return (id(config), leaf) in seen

    def unread(configs):
        official = configs[0].data.split.by == "official"
        excused = ELSEWHERE + OF_A_DIVISION * official
        settings = {key for key, value in configuration.flat(configs[0]).items() if not isinstance(value, ConfigDict)}
        return {
            key
            for key in settings
            if not key.startswith(excused) and not any(was_read(config, key) for config in configs)
        }

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConfigDict, "__getitem__", read)
        yield unread


@pytest.fixture(scope="session")
def small_time_lapse():
    """Overrides of configs/demo.py for frames and networks of seconds."""
    return {
        "frames.size": 16,
        "cropper.size": 16,
        "cropper.model.widths": (4, 4),
        "cnn.model.stem": (4, 4),
        "cnn.model.entry": (4,),
        "cnn.model.middle": 0,
        "cnn.model.exit": (4, 4, 4, 6),
        "cnn.model.stem_stride": 1,
    }
