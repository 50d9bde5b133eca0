"""`grade` does what `train` did, on a run's own examples; what it cannot grade it refuses in one line."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ordinal_blast import cli, record, settings
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.storage import file_digest
from ordinal_blast.study import grading, runner, session
from ordinal_blast.study import plan as plans

pytestmark = pytest.mark.usefixtures("compile_quickly")  # tests/training checks the optimised code
OWN_LOSS = '''import jax

def f(logits, labels):
    """Cross-entropy."""
    return -jax.nn.log_softmax(logits)[jax.numpy.arange(len(labels)), labels]
'''


def run_of(folder, variants, chosen):
    (folder / "question.py").write_text(f'"""A question?"""\ndef variants():\n    yield from {variants!r}\n')
    plan = plans.ablation(str(folder / "question.py"), chosen, 1)
    assert runner.run(plan, folder / "run", "the command", session.begin(1)) == []
    return folder / "run" / "cells"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, tiny_overrides):
    """`pictures(shape, variants)`: the cells of a run on images of this shape, and the files of its test images."""

    def make(shape, variants):
        folder = tmp_path_factory.mktemp("pictures")
        rng = np.random.default_rng(0)
        arrays = {}
        for split, count in (("train", 30), ("val", 12), ("test", 12)):
            labels = rng.choice(3, count, p=(0.5, 0.3, 0.2))
            light = 70 + 60 * labels.reshape(-1, *[1] * len(shape)) + rng.normal(0, 40, (count, *shape))
            arrays |= {f"{split}_images": np.clip(light, 0, 255).astype(np.uint8), f"{split}_labels": labels}
        np.savez(folder / "tiny.npz", **arrays)
        overrides = {"data.root": str(folder), "data.cache": str(folder / "cache"), "cnn.training.epochs": 1}
        overrides["cnn.training.batch_size"] = 16
        cells = run_of(folder, variants, settings.load("configs/retinamnist.py", tiny_overrides | overrides))
        files = [folder / f"{number:02}.png" for number in range(12)]
        for file, image in zip(files, arrays["test_images"], strict=True):
            Image.fromarray(image).save(file)
        return cells, files

    return make


@pytest.fixture(scope="module")
def wide(pictures):
    weighted = {"class_weights": "inverse_frequency", "objective.name": "cross_entropy"}
    return pictures(
        (10, 20, 3),
        [
            ("mode", {"objective.name": "cross_entropy"}),
            ("median", {"objective.name": "cross_entropy", "objective.rule": "median"}),
            ("corrected", {**weighted, "objective.correct_weights": True}),
            ("calibrated", {**weighted, "objective.correct_weights": True, "objective.calibration": "temperature"}),
        ],
    )


def assert_as_the_run(graded, cell, model, task="grade", count=None):
    result = record.read(cell).models[model].splits["test"].tasks[task]
    grades, probs = result.grades[:count], result.probs[:count]
    lines = [line for line in graded if line["task"] == task]
    assert [line["model"] for line in lines] == [model] * len(lines)
    assert [list(line["probs"]).index(line["grade"]) for line in lines] == grades.tolist()
    np.testing.assert_allclose([list(line["probs"].values()) for line in lines], probs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["mode", "median", "corrected", "calibrated"])
def test_images_that_are_not_square_are_graded_as_the_run_graded_them(wide, name):
    cells, files = wide
    graded = grading.grade(cells / f"{name}-s0", files)
    assert_as_the_run(graded, cells / f"{name}-s0", "cnn")
    assert {line["decides_by"] for line in graded} == {"median" if name == "median" else "mode"}
    assert all(line["notes"] == [] for line in graded)


def test_grey_images_are_graded_as_the_run_graded_them(pictures):
    cells, files = pictures((20, 10), [("ce", {"objective.name": "cross_entropy"})])
    assert_as_the_run(grading.grade(cells / "ce-s0", files), cells / "ce-s0", "cnn")


def test_a_cell_that_shares_its_training_is_graded_by_the_model_of_the_other(wide):
    cells, _ = wide
    assert not (cells / "median-s0" / "checkpoints").exists()
    assert record.read(cells / "median-s0").models["cnn"].training["shared_with"] == "mode-s0"


def test_a_file_that_no_stage_grades_is_refused_by_name(tmp_path):
    reader = grading._Reader((), lambda path: {"names": [str(path)], "notes": ()})
    with pytest.raises(UserError, match=r"^a.npz has nothing that a model of the run reads$"):
        grading._Run(None, reader, [lambda values: values]).grade(Path("a.npz"))
    with pytest.raises(UsageError, match=rf"^{tmp_path} is no finished cell \(no result.json\): give a folder such as"):
        grading.grade(tmp_path, [])


def test_depth_and_alpha_change_no_grade(wide, tmp_path):
    cells, files = wide
    image = np.asarray(Image.open(files[0]).convert("L"))
    forms = {
        "8.png": image,
        "16.png": image.astype(np.uint16) * 257,
        "12.png": np.round(image * (4095 / 255)).astype(np.uint16),
        "float.tif": (image / 255).astype(np.float32),
        "alpha.png": np.dstack([image, image, image, np.full_like(image, 255)]),
    }
    for name, values in forms.items():
        Image.fromarray(values).save(tmp_path / name)
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(np.ascontiguousarray(np.rot90(image))).save(tmp_path / "turned.png", exif=exif)
    graded = grading.grade(cells / "mode-s0", [tmp_path / name for name in (*forms, "turned.png")])
    assert len({json.dumps(line["probs"]) for line in graded}) == 1
    assert [len(line["notes"]) for line in graded] == [1, 2, 2, 1, 0, 2]  # one: grey
    assert "note: read as 12 bits" in grading.text(graded)


def test_a_folder_is_graded_image_by_image_and_a_corrupt_file_costs_only_itself(wide, tmp_path, capsys):
    cells, files = wide
    folder = tmp_path / "folder"
    folder.mkdir()
    for file in files[:3]:
        shutil.copy(file, folder)
    (folder / "labels.csv").write_text("00.png,1\n")
    (folder / "01.png").write_bytes(files[1].read_bytes()[:100])
    os.mkfifo(folder / "pipe.png")
    assert cli.main(["grade", "--run", str(cells / "mode-s0"), str(folder), str(tmp_path / "no.png"), "--json"]) == 1
    printed = capsys.readouterr()
    assert [line["input"] for line in json.loads(printed.out)] == [str(folder / "00.png"), str(folder / "02.png")]
    refused = printed.err.splitlines()
    assert len(refused) == 3
    for line, name in zip(refused, ("folder/01.png", "folder/pipe.png", "no.png"), strict=True):
        assert line.startswith(f"ordinal-blast: cannot read the image {tmp_path / name}: ")
    (tmp_path / "bare").mkdir()
    with pytest.raises(UserError, match=r"bare holds nothing to grade: no file ends in .png, .jpg"):
        grading.grade(cells / "mode-s0", [tmp_path / "bare"])


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda cell: (cell / "config.json").unlink(), "config.json is missing"),
        (lambda cell: (cell / "config.json").write_text("{}"), "config.json is not what its cell wrote"),
        (lambda cell: (cell / "result.json").write_text('{"schema": 1, "rows"'), "cannot read .*result.json"),
        (lambda cell: (cell / "result.json").write_text("[]"), "result.json"),
        (lambda cell: shutil.rmtree(cell / "checkpoints"), "holds no trained model"),
        (
            lambda cell: [file.unlink() for file in cell.glob("checkpoints/**/*") if file.is_file()],
            "checkpoint|trained",
        ),
    ],
)
def test_a_damaged_run_is_one_line(wide, tmp_path, damage, why):
    cell = shutil.copytree(wide[0] / "mode-s0", tmp_path / "cells" / "mode-s0")
    damage(cell)
    with pytest.raises(UserError, match=why) as refused:
        grading.grade(cell, wide[1])
    assert "\n" not in str(refused.value)


def rewritten(cell, change_settings=lambda tree: None, **changes):
    """The cell as another version may have left it: the digests fit, the content does not."""
    was = record.read(cell)
    tree = json.loads(json.dumps(was.settings))
    change_settings(tree)
    record.begin(cell, tree, was.identity)
    record.write(cell, dataclasses.replace(was, settings=tree, **changes))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda tree: tree.pop("cnn") and tree.update(rnn={}), "holds no run that this version can read"),
        (lambda tree: tree["objective"].update(rules="mode"), "holds no run that this version can read"),
        (lambda tree: tree["cnn"]["network"]["options"].update(middle=1), "cannot read the checkpoint"),
    ],
)
def test_a_run_of_another_version_or_another_network_is_one_line(wide, tmp_path, change, why):
    cell = shutil.copytree(wide[0] / "mode-s0", tmp_path / "cells" / "mode-s0")
    rewritten(cell, change)
    with pytest.raises(UserError, match=why) as refused:
        grading.grade(cell, wide[1])
    assert "\n" not in str(refused.value)


def test_a_run_on_other_than_eight_bit_images_is_refused(wide, tmp_path):
    cell = shutil.copytree(wide[0] / "mode-s0", tmp_path / "cells" / "mode-s0")
    models = record.read(cell).models
    rewritten(cell, models={"cnn": dataclasses.replace(models["cnn"], dtype="float32")})
    with pytest.raises(UsageError, match=r"was trained on images \(float32\) of the source medmnist"):
        grading.grade(cell, wide[1])


@pytest.mark.parametrize("form", ["a_loss_of_mine:f", "a_loss_of_mine.py:f"])
def test_an_own_loss_is_run_only_where_it_is_trusted(wide, tmp_path, monkeypatch, form):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    ran = tmp_path / "ran"
    (elsewhere / "a_loss_of_mine.py").write_text(f"open({str(ran)!r}, 'w').close()\n{OWN_LOSS}")
    cell = shutil.copytree(wide[0] / "mode-s0", tmp_path / "cells" / "mode-s0")
    was = record.read(cell)
    code = {**was.identity["code"], "a_loss_of_mine.py": file_digest(elsewhere / "a_loss_of_mine.py")}
    rewritten(cell, lambda tree: tree["objective"].update(name=form), identity={**was.identity, "code": code})
    monkeypatch.chdir(elsewhere)  # where it lies is not enough
    with pytest.raises(UsageError, match=rf"objective.name {form}: code from outside .* give --trust FOLDER"):
        grading.grade(cell, wide[1])
    assert not ran.exists()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=rf"{form}"):
        grading.grade(cell, wide[1], trust=tmp_path)
    with pytest.raises(UsageError, match="there is no such folder"):
        grading.grade(cell, wide[1], trust=tmp_path / "nowhere")
    assert_as_the_run(grading.grade(cell, wide[1], trust=elsewhere), cell, "cnn")
    assert ran.exists()
    with (elsewhere / "a_loss_of_mine.py").open("a") as file:
        file.write("# another text\n")
    with pytest.raises(UserError, match=r"was trained with another text of a_loss_of_mine.py: restore it"):
        grading.grade(cell, wide[1], trust=elsewhere)
