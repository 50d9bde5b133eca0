"""The whole time-lapse chain on a few simulated wells: stages shared by content, what travels, recordings graded."""

import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from ordinal_blast import record, report, settings
from ordinal_blast.data import material
from ordinal_blast.embryo import timelapse
from ordinal_blast.embryo.cropping import Cropper
from ordinal_blast.embryo.report import sections
from ordinal_blast.errors import UsageError
from ordinal_blast.report.pictures import Studio
from ordinal_blast.study import grading, recipe, runner, session, shown
from ordinal_blast.study import plan as plans
from ordinal_blast.study.recipe import Work

RECORDED = "tests/embryo/recorded_config.py"
TRUSTED = Path(__file__).parents[2]  # the data come from a file beside this one
pytestmark = pytest.mark.usefixtures("compile_quickly")  # tests/training checks the optimised code
HOURS = (98.0, 104.0, 112.0, 118.0)  # of the frames; the first hour that is looked at, 96, is before them


@pytest.fixture(scope="module")
def overrides(tmp_path_factory, whole):
    return whole | {
        "data.cache": str(tmp_path_factory.mktemp("cache")),
        "data.options.embryos": 48,
        "data.options.hours": HOURS,
        "data.options.empty_share": 0.2,
        "report.examples": 2,
        "report.timed": 2,
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory, ran, overrides):
    variants = [("a", {}), ("b", {"rnn.network.options.masking": True})]
    return ran(tmp_path_factory.mktemp("chain"), variants, overrides, RECORDED)


@pytest.fixture(scope="module")
def dataset(root, overrides):
    return material.open(settings.load(RECORDED, overrides).data).dataset


def read(root, name):
    return record.read(record.folder_of(root, name))


def built(root, stage):
    (folder,) = (root / "stages").glob(f"{stage}-*")
    return folder


def test_every_grader_is_graded_and_the_shared_stages_are_made_once(root):
    names = sorted(path.name.rsplit("-", 1)[0] for path in (root / "stages").iterdir())
    assert names == ["cnn", "cropper", "crops", "sequences"]
    a, b = read(root, "a-s0"), read(root, "b-s0")
    assert list(a.models) == ["cnn", "rnn"]
    shared = ("cropper", "crops", "cnn", "sequences")
    untimed = ({k: v for k, v in of.stages[name].items() if k != record.SECONDS} for name in shared for of in (a, b))
    assert all(one == other for one, other in zip(untimed, untimed, strict=True))
    assert [a.stages[name]["folder"] for name in shared] == [built(root, name).name for name in shared]
    facts = a.stages["cropper"]
    assert 0 <= facts["dice_val"] <= 1
    # A test set of empty wells, where only an empty mask is right, and of embryos.
    empty, images = facts["empty_test"], facts["images_test"]
    assert 0 < empty < images
    right = (facts["dice_test"] * images - facts["dice_test_seen"] * (images - empty)) / empty
    assert 0 <= round(right, 9) <= 1
    assert facts["dice_test_error"] >= 0
    for task, result in a.models["cnn"].splits["test"].tasks.items():
        np.testing.assert_array_equal(result.outputs, b.models["cnn"].splits["test"].tasks[task].outputs)
        assert list(a.models["rnn"].splits["test"].tasks) == ["icm", "te"]


def test_sequences_end_at_tmeb_and_empty_wells_are_not_graded(root, dataset):
    labels = dataset.columns["label/icm"]
    assert 0 < np.sum(labels < 0) < 24
    assert sum(read(root, "a-s0").dataset["sizes"].values()) == np.sum(labels >= 0)
    hours = timelapse.hours(96.0, 118.0, 11.0)
    areas = np.load(built(root, "crops") / "00000.npz")["areas"]
    tmeb = timelapse.maximum_expansion(areas[:, : len(hours)], hours, 96.0)
    sequences = np.load(built(root, "sequences") / "sequences.npy")
    assert sequences.shape == (48, 3, 6)
    np.testing.assert_array_equal((sequences[:, 1] == 0).all(axis=1), tmeb == 0)


def test_no_treatment_is_in_two_splits_and_the_outcome_travels_with_the_predictions(root):
    cell = read(root, "a-s0")
    splits = cell.models["rnn"].splits
    train, val, test = (set(splits[name].columns["group"]) for name in ("train", "val", "test"))
    assert not train & test
    assert not train & val
    assert not val & test
    columns = splits["test"].columns
    assert set(columns["fetal_heartbeat"]) <= {-1, 0, 1}
    assert {"clinic", "instrument"} <= set(columns)


def test_a_page_is_shown_the_middle_focal_plane(root):
    examples = read(root, "a-s0").examples
    assert examples.frames.shape == (2, 16, 16, 1)
    assert examples.frames.dtype == np.uint8


def test_a_cropper_starts_from_the_weights_of_another(root, overrides, tmp_path):
    start = {"cropper.network.init_from": str(built(root, "cropper")), "cropper.optimizer.learning_rate": 1e-12}
    chosen = settings.load(RECORDED, overrides | start)
    opened = material.open(chosen.data)
    work = Work(opened, recipe.goal(chosen), {}, session.begin(1))
    stage = Cropper("cropper", chosen.stages["cropper"])
    assert list(stage.depends(work)) == ["init_from"]
    stage.build(opened.dataset.columns, tmp_path, work)
    ours = stage.open({}, tmp_path, work)["cropper"].variables["params"]
    theirs = stage.open({}, built(root, "cropper"), work)["cropper"].variables["params"]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-9), ours, theirs)


def test_a_report_ranks_the_outcome_and_says_how_well_the_cropper_crops(root):
    study = report.load(root)
    for cell in study.cells:
        for stage in study.stages:
            split = cell.tested(stage)
            split.columns["fetal_heartbeat"] = np.arange(len(split.ids)) % 2
    of = {section.title: section for section in sections(study, Studio("chain", study))}
    outcome, cropper = of["Outcome: fetal heartbeat"], of["Cropper"]
    parts = [part.title for part in outcome.blocks if "embryologist" not in part.title]
    assert parts == ["RNN: rates, probabilities and picks", "RNN", "CNN: rates, probabilities and picks", "CNN"]
    dice = read(root, "a-s0").stages["cropper"]["dice_test"]
    assert cropper.facts == [("Cropper Dice (test)", f"{dice:.3f}")]


def test_a_report_without_an_outcome_has_no_section_of_it(root):
    study = report.load(root)
    for cell in study.cells:
        for stage in study.stages:
            del cell.tested(stage).columns["fetal_heartbeat"]
    titles = [section.title for section in sections(study, Studio("chain", study))]
    assert titles == ["The paper’s tables", "A and C", "Cropper"]


def test_a_record_says_how_long_one_recording_takes_and_the_page_sets_it_beside_the_paper(root):
    a = read(root, "a-s0")
    seconds = {name: of[record.SECONDS] for name, of in a.stages.items()}
    assert list(seconds) == ["cropper", "crops", "cnn", "sequences", "rnn"]
    assert all(0 <= value < 60 for value in seconds.values())
    assert a.stages["crops"][record.TIMED] == "3 frames of 32 × 32 pixels in 3 focal planes"
    study = report.load(root)
    of = {section.title: section for section in sections(study, Studio("chain", study))}
    (part,) = [block for block in of["The paper’s tables"].blocks if getattr(block, "title", "") == "Table 8: seconds"]
    cells = [[float(entry.text) for entry in line.entries] for line in part.blocks[0].lines[:2]]
    finding, seeing, reading = (
        sum(seconds[name] for name in names) for names in (("cropper", "crops"), ("cnn", "sequences"), ("rnn",))
    )
    assert cells[0] == pytest.approx([finding, seeing, reading, finding + seeing + reading], abs=6e-4)
    assert [entry.text for entry in part.blocks[0].lines[-1].entries] == ["–", "0.548", "0.048", "0.596"]


def test_recordings_are_graded_as_the_run_graded_them(root, dataset, tmp_path):
    test = read(root, "a-s0").models["rnn"].splits["test"]
    names, probs = test.ids[:6], test.tasks["icm"].probs[:6]
    files = [tmp_path / f"{name}.npz" for name in names]
    for name, file in zip(names, files, strict=True):
        row = np.flatnonzero(dataset.columns["id"] == name)
        arrays = {column: dataset.columns[column][row][0] for column in ("frames", "hpi")}
        np.savez(file, **arrays, planes=dataset.extras["planes"])
    graded = [line for line in grading.grade(root / "cells/a-s0", files, trust=TRUSTED) if line["task"] == "icm"]
    assert {line["model"] for line in graded} == {"rnn"}
    assert not any("tA" in note for line in graded for note in line["notes"])  # the LSTM does not look then
    assert np.ptp(probs, axis=0).min() > 2e-5  # a network of one epoch tells recordings apart by little
    np.testing.assert_allclose([list(line["probs"].values()) for line in graded], probs, rtol=0, atol=2e-6)


def test_a_cell_of_a_question_has_the_stages_of_its_study(root, tmp_path):
    shutil.copytree(root / "cells" / "a-s0", tmp_path / "question" / "cells" / "a-s0")
    (tmp_path / "stages").symlink_to(root / "stages")
    with grading.opened(tmp_path / "question" / "cells" / "a-s0", TRUSTED) as opened:
        folders = [folder for _, folder in opened.chain]
    assert folders[:-1] == [tmp_path / "stages" / built(root, stage.name).name for stage, _ in opened.chain[:-1]]
    assert folders[-1] == tmp_path / "question" / "cells" / "a-s0"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"chain": ("cnn",)}, r"cnn reads images, and the data and the stages before it have .*frames"),
        ({"chain": ("crops", "cropper", "cnn")}, "crops reads cropper, .*cropper makes it, so put crops after that"),
        ({"chain": ("cropper", "crops", "sequences", "rnn")}, "sequences reads features"),
        ({"cropper.size": 17}, "cropper.size is 17: .*height and width must divide by 2"),
        ({"cropper.frames_per_embryo": 5}, "cropper.frames_per_embryo is 5, and a recording has 4 frames"),
        ({"cropper.training.select": "val_qwk"}, "val_qwk"),
        ({"cropper.training.balance": "icm"}, "cropper.training.balance is icm, and masks have no grades"),
        (
            {"cropper.training.batch_size": 99},
            "cropper.training.batch_size is 99, and there are [0-9]+ training frames",
        ),
        ({"crops.stop_hpi": 90.0}, "crops.stop_hpi is 90.0: it takes a number of at least 96"),
        ({"crops.step_h": 1e-9}, "crops.step_h is 1e-09: it takes a number of at least 0.022"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_any_work(overrides, tmp_path, changes, why):
    plan = plans.single(settings.override(settings.load(RECORDED, overrides), changes))
    with pytest.raises(UsageError, match=why):
        runner.run(plan, tmp_path / "run", "the command", session.begin(1))
    assert not (tmp_path / "run" / "stages").exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("crops.time_shifts_h", (0.5,)),
        ("crops.time_shifts_h", ()),
        ("crops.time_shifts_h", (0.0, 1e30)),
        ("crops.start_hpi", -1e308),
        ("crops.stop_hpi", 1e308),
        ("crops.planes", (1e308,)),
        ("crops.plane_um", 1e308),
        ("crops.planes", ()),
        ("crops.planes", ("a",)),
        ("crops.cnn_time", "noon"),
        ("crops.cnn_time", "nan"),
        ("crops.size", 0),
        ("crops.size", 10**6),
        ("cropper.size", 10**6),
        ("crops.plane_um", 0),
        ("crops.crop_share", 1.5),
        ("crops.step_h", 0),
        ("crops.focal_planes", -1),
        ("crops.focal_planes", 10**9),
        ("cropper.frames_per_embryo", 0),
        ("sequences.max_frames", 0),
        ("sequences.max_frames", 10**6),
        ("objective.adjust_loss", 1e38),
        ("objective.adjust_decision", 1e6),
    ],
)
def test_a_setting_outside_its_range_is_refused_by_name(key, value):
    with pytest.raises(UsageError, match=f"{key} is "):
        settings.load(RECORDED, {key: value})


def test_the_crops_of_a_run_are_shown_to_a_person_as_on_its_page(root):
    kept = read(root, "a-s0").examples
    with shown.images(record.folder_of(root, "a-s0"), TRUSTED) as look:
        np.testing.assert_array_equal(look(kept.ids), kept.frames)
