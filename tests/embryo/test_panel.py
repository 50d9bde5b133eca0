"""The second set of the paper, which many embryologists grade, beside a study of the first."""

import pytest

from ordinal_blast import record

pytestmark = pytest.mark.usefixtures("compile_quickly")  # tests/training checks the optimised code
OUTCOME = ("fetal_heartbeat",)


@pytest.fixture(scope="module")
def root(tmp_path_factory, ran, whole):
    changes = whole | {
        "data.cache": str(tmp_path_factory.mktemp("cache")),
        "data.options.embryos": 60,
        "data.options.panel": 6,
        "data.outcomes": {"fetal_heartbeat": ("none", "heartbeat")},
        "cropper.images": 24,
        "report.timed": 0,
    }
    variants = [(name, {"tasks": tasks}) for name, tasks in {"both": ("icm", *OUTCOME), "outcome": OUTCOME}.items()]
    return ran(tmp_path_factory.mktemp("panel"), variants, changes, "configs/study_small.py")


@pytest.mark.parametrize("stage", ["cnn", "rnn"])
def test_what_has_no_label_in_a_set_apart_is_not_measured_there(root, stage):
    both, outcome = (record.read(root / "cells" / f"{name}-s0").models[stage].splits for name in ("both", "outcome"))
    assert [*both] == ["train", "val", "test", "panel"]
    assert [*both["test"].tasks] == ["icm", *OUTCOME]
    assert [*both["panel"].tasks] == ["icm"]
    assert len(both["panel"].ids) == 6
    assert both["panel"].columns["rater_icm"].shape[0] == 6
    assert [*outcome] == ["train", "val", "test"]
    assert both["test"].ids.tolist() == outcome["test"].ids.tolist()
