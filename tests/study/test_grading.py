"""`grade` does what `train` did, on a run's own examples; what it cannot grade it refuses in one line."""

import csv
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
from ordinal_blast.evaluation import conformal
from ordinal_blast.storage import file_digest
from ordinal_blast.study import graded_lines, grading, runner, session
from ordinal_blast.study import plan as plans

pytestmark = pytest.mark.usefixtures("compile_quickly")  # tests/training checks the optimised code
OWN_LOSS = '''import jax

def f(logits, labels):
    """Cross-entropy."""
    return -jax.nn.log_softmax(logits)[jax.numpy.arange(len(labels)), labels]
'''


def run_of(folder, variants, chosen, seeds=1):
    (folder / "question.py").write_text(f'"""A question?"""\ndef variants():\n    yield from {variants!r}\n')
    plan = plans.ablation(str(folder / "question.py"), chosen, seeds)
    assert runner.run(plan, folder / "run", "the command", session.begin(1)) == []
    return folder / "run" / "cells"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, tiny_overrides):
    """`pictures(shape, variants, seeds)`: the cells of a run on such images, and the files of its test images."""

    def make(shape, variants, seeds=1):
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
        cells = run_of(folder, variants, settings.load("configs/retinamnist.py", tiny_overrides | overrides), seeds)
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


def test_sets_are_those_that_evaluation_calibrates_on_the_validation_examples(wide):
    cells, files = wide
    val, test = (record.read(cells / "mode-s0").models["cnn"].splits[name].tasks["grade"] for name in ("val", "test"))
    for level in (0.6, 0.9):
        fitted = conformal.calibrate(val.labels, val.probs, val.task.num_classes, "lac", level)
        expected = fitted.sets(test.probs)
        graded = grading.grade(cells / "mode-s0", files, level=level)
        assert [line["set"] for line in graded] == [
            list(val.task.grades[low : high + 1]) for low, high in zip(expected.low, expected.high, strict=True)
        ]
        assert [graded_lines.set_text(line) for line in graded] == expected.texts(val.task.grades)
    assert "set" not in grading.grade(cells / "mode-s0", files[:1], level=0)[0]
    with pytest.raises(UsageError, match=r"--level is 1: the sets of grades hold"):
        grading.grade(cells / "mode-s0", files, level=1)


def test_an_ensemble_has_the_mean_of_the_probabilities_of_its_seeds_and_says_so(pictures):
    cells, files = pictures((10, 10), [("ce", {"objective.name": "cross_entropy"})], seeds=2)
    tests = [record.read(cells / f"ce-s{seed}").models["cnn"].splits for seed in (0, 1)]
    mean = np.mean([splits["test"].tasks["grade"].probs for splits in tests], axis=0)
    graded = grading.grade(cells / "ce-s1", files, ensemble=True)
    np.testing.assert_allclose([list(line["probs"].values()) for line in graded], mean, rtol=1e-4, atol=1e-6)
    assert [list(line["probs"]).index(line["grade"]) for line in graded] == mean.argmax(axis=1).tolist()
    assert graded[0]["seeds"] == [0, 1]
    assert "(mean of 2 seeds, cnn, mode)" in graded_lines.text(graded)
    val = np.mean([splits["val"].tasks["grade"].probs for splits in tests], axis=0)
    fitted = conformal.calibrate(tests[0]["val"].tasks["grade"].labels, val, mean.shape[1], "lac", 0.9)
    assert [len(line["set"]) for line in graded] == fitted.sets(mean).sizes.tolist()


def test_an_ensemble_of_one_seed_is_refused(wide):
    with pytest.raises(UsageError, match="is the only finished seed of its variant mode: grade without an ensemble"):
        grading.grade(wide[0] / "mode-s0", wide[1], ensemble=True)


def test_images_unlike_the_training_data_and_blurred_ones_carry_a_warning(wide, tmp_path):
    cells, files = wide
    ramp = np.repeat(np.linspace(20, 230, 20).astype(np.uint8)[None, :, None], 10, axis=0).repeat(3, axis=2)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    (blurred,) = grading.grade(cells / "mode-s0", [tmp_path / "ramp.png"])
    assert "it is out of focus, or blurred: less sharp than 12 of 12 validation examples" in blurred["warnings"]
    cell = shutil.copytree(cells / "mode-s0", tmp_path / "cells" / "mode-s0")
    kept = dict(np.load(cell / "familiarity.npz"))
    assert len(kept["distances"]) == len(kept["sharpness"]) == 12
    for distances, warned in ((np.zeros(200), True), (np.full(200, np.inf), False)):
        np.savez(cell / "familiarity.npz", **{**kept, "distances": distances})
        (line,) = grading.grade(cell, files[:1])
        assert line["about"]["distance_p"] == pytest.approx(1 / 201 if warned else 1)
        far = "it is unlike the training data: its features lie farther from them than those of 200 of 200 validation "
        assert (f"{far}examples" in line["warnings"]) == warned
    (cell / "familiarity.npz").unlink()
    (line,) = grading.grade(cell, files[:1])
    assert line["warnings"] == ["whether it is like the training data is not known: the run kept nothing of that"]


def test_a_table_of_grades_has_a_row_a_task_and_no_formulas(wide, tmp_path, monkeypatch, capsys):
    cells, files = wide
    shutil.copy(files[0], tmp_path / "=1+1.png")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["grade", "--run", str(cells / "mode-s0"), "=1+1.png", str(files[1]), "--csv"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    (first, second) = grading.grade(cells / "mode-s0", files[:2])
    assert [row["input"] for row in rows] == ["'=1+1.png", str(files[1])]
    assert [row["grade"] for row in rows] == [first["grade"], second["grade"]]
    assert rows[1]["set"] == " or ".join(second["set"])
    assert float(rows[1][f"p {second['grade']}"]) == pytest.approx(second["probs"][second["grade"]], rel=1e-6)


def test_a_cell_that_shares_its_training_is_graded_by_the_model_of_the_other(wide):
    cells, _ = wide
    assert not (cells / "median-s0" / "checkpoints").exists()
    assert record.read(cells / "median-s0").models["cnn"].training["shared_with"] == "mode-s0"


def test_a_file_that_no_stage_grades_is_refused_by_name(tmp_path):
    reader = grading._Reader((), lambda path: {"names": [str(path)], "notes": ()})
    with pytest.raises(UserError, match=r"^a.npz has nothing that a model of the run reads$"):
        grading.Run(None, reader, []).values(Path("a.npz"))
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
    assert "note: read as 12 bits" in graded_lines.text(graded)


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
