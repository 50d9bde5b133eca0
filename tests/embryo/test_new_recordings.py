"""`grade` crops recordings and single frames as the run cropped its own, and notes what it had to assume."""

import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ordinal_blast import record, settings
from ordinal_blast.data import material
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.report import insight_page
from ordinal_blast.study import graded_lines
from ordinal_blast.study.explaining import explain
from ordinal_blast.study.grading import grade

RECORDED = "tests/embryo/recorded_config.py"
pytestmark = pytest.mark.usefixtures("compile_quickly")  # tests/training checks the optimised code

graded_by = partial(grade, trust=Path(__file__).parents[2])  # its data come from a file beside this one


@pytest.fixture(scope="module")
def wells(tmp_path_factory, small, ran):
    """The cells of a run whose CNN looks at recordings at three times, and `save(identity, **more)` that saves one."""
    folder = tmp_path_factory.mktemp("wells")
    overrides = small | {
        "chain": ("cropper", "crops", "cnn"),
        "data.cache": str(folder / "cache"),
        "data.options.embryos": 24,
        "data.options.hours": (94.5, 103.0, 112.0, 119.0),
        "data.options.empty_share": 0.1,
        "crops.start_hpi": 95.0,
        "crops.stop_hpi": 119.5,
        "crops.step_h": 3.5,
        "objective": "cross_entropy",
    }
    variants = [(name, {"crops.cnn_time": time}) for name, time in (("tA", "tA"), ("tMEB", "tMEB"), ("hour", "109"))]
    cells = ran(folder, variants, overrides, RECORDED) / "cells"
    dataset = material.open(settings.load(RECORDED, overrides).data).dataset

    def save(identity, **changes):
        row = np.flatnonzero(dataset.columns["id"] == identity)
        named = {name: dataset.columns[name][row][0] for name in ("frames", "hpi", "tA")}
        arrays = {**named, "planes": dataset.extras["planes"], **changes}
        path = folder / f"{identity}.npz"
        np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
        return path

    return cells, save


@pytest.fixture(scope="module")
def identity(wells):
    return record.read(wells[0] / "tA-s0").models["cnn"].splits["test"].ids[0]


@pytest.mark.parametrize("name", ["tA", "tMEB", "hour"])
def test_recordings_are_graded_by_the_cnn_at_the_time_that_the_run_looked_at(wells, name):
    cells, save = wells
    test = record.read(cells / f"{name}-s0").models["cnn"].splits["test"]
    graded = graded_by(cells / f"{name}-s0", [save(identity) for identity in test.ids[:6]])
    assert {line["model"] for line in graded} == {"cnn"}
    for task, result in test.tasks.items():
        lines = [line for line in graded if line["task"] == task]
        assert [list(line["probs"]).index(line["grade"]) for line in lines] == result.grades[:6].tolist()
        probs = [list(line["probs"].values()) for line in lines]
        np.testing.assert_allclose(probs, result.probs[:6], rtol=1e-4, atol=1e-6)


def test_a_recording_is_said_its_quality_its_window_and_when_it_is_largest(wells, identity):
    cells, save = wells
    icm, te = graded_by(cells / "tMEB-s0", [save(identity)])
    names = {0: "PQB", 1: "GQB", 2: "TQB"}
    lower = min(list(line["probs"]).index(line["grade"]) for line in (icm, te))
    assert icm["about"]["quality"] == te["about"]["quality"] == names[lower]
    assert icm["about"]["tMEB_hpi"] in (94.5, 98, 98.5, 102, 105.5, 109, 112.5, 116, 119.5)
    track = icm["about"]["track"]
    assert [one["hpi"] for one in track] == np.load(save(identity))["hpi"].tolist()
    seen = [one for one in track if one["centre"]]
    assert [one["area"] > 0 for one in track] == [one in seen for one in track]
    assert all(0 < place < 1 for one in seen for place in one["centre"])
    assert "track" not in graded_lines.text([icm, te])
    side = np.load(save(identity))["frames"].shape[1]
    left, top, right, bottom = icm["about"]["box"]
    assert 0 <= left < right <= side
    assert bottom - top == right - left == round(0.8 * side)
    assert 0 <= icm["about"]["area"] <= 1


def test_a_frame_in_which_the_cropper_sees_nothing_is_a_warning_and_its_window_lies_in_the_middle(wells, tmp_path):
    cells, _ = wells
    Image.fromarray(np.zeros((40, 60), np.uint8)).save(tmp_path / "dark.png")
    icm, _ = graded_by(cells / "tA-s0", [tmp_path / "dark.png"])
    said = "the cropper finds no embryo: the middle of the frame is graded"
    assert (said in icm["warnings"]) == (icm["about"]["area"] == 0)
    assert said not in icm["notes"]
    if icm["about"]["area"] == 0:
        assert icm["about"]["box"] == [14, 4, 46, 36]


def test_what_a_recording_lacks_is_noted_and_one_outside_the_hours_is_refused(wells, identity):
    cells, save = wells
    meb, _ = graded_by(cells / "tA-s0", [save(identity, tA=None)])
    assert "it has no tA, the time that the run grades at: graded at its maximum expansion" in meb["notes"]
    whole = np.load(save(identity))
    late, _ = graded_by(
        cells / "tMEB-s0", [save(identity, frames=whole["frames"][2:, ..., 1:2], hpi=whole["hpi"][2:], planes=[0.0])]
    )
    assert late["notes"][:2] == [
        "it runs from 112 to 119 hpi, and the run looks from 95 to 119.5: its first and last frames stand in",
        "its focal planes 0, 0, 0 µm stand in for -45, 0, 45 µm",
    ]
    with pytest.raises(UserError, match=r"has no frame between 95 and 119.5 hpi: nothing to grade"):
        graded_by(cells / "tA-s0", [save(identity, hpi=whole["hpi"] / 24)])


def test_a_photograph_is_graded_by_the_cnn_of_a_time_lapse_run(wells, tmp_path):
    cells, _ = wells
    Image.fromarray(np.full((20, 30, 3), 90, np.uint8)).save(tmp_path / "still.png")
    icm, te = graded_by(cells / "tA-s0", [tmp_path / "still.png"])
    assert (icm["model"], te["task"]) == ("cnn", "te")
    assert icm["notes"][0] == "its middle 20 x 20 of 30 x 20 pixels are read"
    assert any(note.startswith("one focal plane, which stands in for all") for note in icm["notes"])


def test_a_folder_is_graded_by_its_recordings_and_images(wells, identity, tmp_path):
    cells, save = wells
    save(identity).rename(tmp_path / "embryo.npz")
    Image.fromarray(np.full((20, 20), 90, np.uint8)).save(tmp_path / "still.png")
    (tmp_path / "notes.txt").write_text("not graded")
    graded = graded_by(cells / "tA-s0", [tmp_path])
    assert [line["input"] for line in graded] == [
        str(tmp_path / name) for name in ("embryo.npz",) * 2 + ("still.png",) * 2
    ]


@pytest.fixture(scope="module")
def insight(wells, identity):
    cells, save = wells
    return explain(cells / "tMEB-s0", save(identity), tested=5, trust=Path(__file__).parents[2])


def test_what_is_explained_is_what_is_graded(wells, identity, insight):
    cells, save = wells
    assert insight.lines == graded_by(cells / "tMEB-s0", [save(identity)])
    assert (insight.model, insight.shape) == ("cnn", (16, 16, 3))
    assert [moment.epoch for moment in insight.moments] == [0, 1]  # one epoch, which is the selected and the last
    start, graded = insight.moments
    assert set(start.moved.values()) == {0.0}
    assert min(graded.moved.values()) > 0
    assert start.kernel.shape == graded.kernel.shape == (3, 3, 3, 4)
    assert list(insight.maps)[-1] == insight.layer


def test_evidence_is_that_of_features_whose_mean_is_graded(wells, identity, insight):
    cells, save = wells
    expected = explain(cells / "tMEB-s0", save(identity), of="expected", trust=Path(__file__).parents[2])
    last = insight.maps[insight.layer]  # [h, w, C]: the gradient of a score of its mean is the same at all positions
    for lies in (insight.evidence, expected.evidence):
        for task in ("icm", "te"):
            assert lies[task].shape == insight.seen.shape == (16, 16)
            assert lies[task].min() >= 0
    assert last.min() >= 0  # after ReLU
    assert any(not np.allclose(expected.evidence[task], insight.evidence[task]) for task in ("icm", "te"))


def test_over_test_examples_the_shares_are_those_of_one_by_one(wells, insight):
    cells, save = wells
    ids = record.read(cells / "tMEB-s0").models["cnn"].splits["test"].ids[:5]
    one_by_one = [explain(cells / "tMEB-s0", save(name), trust=Path(__file__).parents[2]) for name in ids[:2]]
    shares = [np.nanmean([one.shares()[task] for one in one_by_one]) for task in ("icm", "te")]
    two = explain(cells / "tMEB-s0", save(ids[0]), tested=2, trust=Path(__file__).parents[2]).tested
    if all(two[task].n == 2 for task in two):
        np.testing.assert_allclose([two[task].inside for task in ("icm", "te")], shares, rtol=1e-3)
    assert all(one.n + one.without == 5 for one in insight.tested.values())


def test_the_page_holds_itself_and_says_what_was_graded(insight, tmp_path):
    insight_page.write(insight, tmp_path / "page.html", "the command")
    page = (tmp_path / "page.html").read_text()
    for said in (
        "An image is a matrix",
        "Feature maps",
        "Grad-CAM",
        "the command",
        insight.lines[0]["about"]["quality"],
    ):
        assert said in page
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#|%23)""", page)
    shares = insight_page.shares(insight)
    assert shares["covered"] == insight.region.mean()
    assert set(shares["tested"]) == {"icm", "te"}


def test_what_cannot_be_explained_is_one_line(wells, identity, tmp_path):
    cells, save = wells
    with pytest.raises(UsageError, match=r"^--layer is 9: the network has feature maps 1 to 4; 0 is the last$"):
        explain(cells / "tA-s0", save(identity), layer=9, trust=Path(__file__).parents[2])
    with pytest.raises(UsageError, match=r"^--of is te: it is one of grade, expected$"):
        explain(cells / "tA-s0", save(identity), of="te")
