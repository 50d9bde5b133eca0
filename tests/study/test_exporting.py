"""A grader that was exported says in a process without this package what `grade` says, for any size of batch."""

import importlib.util
import json
import re
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import export
from PIL import Image

from ordinal_blast import cli, settings
from ordinal_blast.errors import NotInstalled, UsageError, UserError
from ordinal_blast.evaluation import conformal
from ordinal_blast.objectives import get
from ordinal_blast.record import read
from ordinal_blast.settings import NetworkSettings
from ordinal_blast.study import decisions, exporting, grading, runner, session
from ordinal_blast.study import plan as plans
from ordinal_blast.training import initial

pytestmark = pytest.mark.usefixtures("compile_quickly")  # tests/training checks the optimised code
STRANGER = Path(__file__).with_name("stranger.py")


def needs_onnx(suffix):
    if suffix == ".onnx" and not all(map(importlib.util.find_spec, ("jax2onnx", "onnxruntime"))):
        pytest.skip("jax2onnx or onnxruntime is not installed")


def asked(file, arrays):
    """What the exported file says of arrays, in a process of its own."""
    given, out = file.with_suffix(".in.npz"), file.with_suffix(".out.npz")
    np.savez(given, **arrays)
    subprocess.run([sys.executable, "-I", str(STRANGER), *map(str, (file, given, out))], check=True, cwd=file.parent)
    return {name.replace("|", "/"): values for name, values in np.load(out).items()}


def assert_same(said, graded, task):
    lines = [line for line in graded if line["task"] == task]
    probs = np.array([list(line["probs"].values()) for line in lines])
    np.testing.assert_allclose(said[f"{task}/probs"], probs, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(said[f"{task}/score"], [line["score"] for line in lines], rtol=1e-5, atol=1e-5)
    assert said[f"{task}/grade"].tolist() == [list(line["probs"]).index(line["grade"]) for line in lines]
    return probs


def run_of(folder, variants, chosen):
    plan = plans.of_variants("A question?", variants, chosen, 1)
    assert runner.run(plan, folder / "run", "the command", session.begin(1)) == []
    return folder / "run" / "cells"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, tiny_overrides):
    """Cells of a run on images, a batch of images, and files of the same."""
    folder = tmp_path_factory.mktemp("pictures")
    weighted = {"objective.name": "cross_entropy", "class_weights": "inverse_frequency"}
    more = {"objective.correct_weights": True, "objective.calibration": "vector", "objective.rule": "median"}
    variants = [
        ("corn", {"objective.name": "corn"}),
        ("calibrated", {**weighted, **more}),
        ("regression", {"objective.name": "thresholded_regression"}),
    ]
    cells = run_of(folder, variants, settings.load("configs/retinamnist.py", tiny_overrides))
    images = np.random.default_rng(0).integers(0, 256, (7, 16, 16, 3), np.uint8)
    files = [folder / f"{number}.png" for number in range(len(images))]
    for file, image in zip(files, images, strict=True):
        Image.fromarray(image).save(file)
    return cells, images, files


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("corn", ".jax"), ("calibrated", ".jax"), ("regression", ".jax"), ("corn", ".onnx"), ("calibrated", ".onnx")],
)
def test_images_are_graded_as_grade_does_it_by_a_process_without_this_package(pictures, tmp_path, name, suffix):
    needs_onnx(suffix)
    cells, images, files = pictures
    cell, file = cells / f"{name}-s0", tmp_path / f"grader{suffix}"
    facts = exporting.export(cell, file)
    assert facts["bytes"] == file.stat().st_size
    assert facts["inputs"] == {"images": {"shape": "[b, 16, 16, 3]", "dtype": "uint8"}}
    assert facts["grades"] == {"grade": ["C", "B", "A"]}
    said = asked(file, {"images": images})
    probs = assert_same(said, grading.grade(cell, files), "grade")
    val = read(cell).models["cnn"].splits["val"].tasks["grade"]
    sets = conformal.calibrate(val.labels, val.probs, 3, "lac", 0.9).sets(probs)
    assert said["grade/lowest"].tolist() == sets.low.tolist()
    assert said["grade/highest"].tolist() == sets.high.tolist()
    one = asked(file, {"images": images[:1]})
    np.testing.assert_allclose(one["grade/probs"], said["grade/probs"][:1], rtol=1e-5)


def test_the_lines_of_the_readme_load_it(pictures, tmp_path):
    exporting.export(pictures[0] / "corn-s0", tmp_path / "grader.jax")
    text = (Path(__file__).parents[2] / "README.md").read_text()
    (lines,) = (block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "deserialize" in block)
    assert len(lines.strip().splitlines()) <= 7
    program = f"import sys; sys.modules['ordinal_blast'] = None\n{lines.replace('28, 28', '16, 16')}"
    program += "print(said['grade/probs'].shape, grader.fun_name)"
    result = subprocess.run(
        [sys.executable, "-I", "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert result.stdout.startswith('(2, 3) {"model": "cnn", ')


def test_what_a_program_reads_and_says_is_told_by_its_name(pictures, tmp_path):
    facts = exporting.export(pictures[0] / "corn-s0", tmp_path / "grader.jax")
    program = export.deserialize(bytearray((tmp_path / "grader.jax").read_bytes()))
    assert {"file": facts["file"], "bytes": facts["bytes"], **json.loads(program.fun_name)} == facts
    assert program.platforms == ("cpu", "cuda", "tpu")


def test_what_the_converter_to_onnx_cannot_do_is_one_line(pictures, tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise RuntimeError("no such operator:\nGather")

    monkeypatch.setitem(sys.modules, "jax2onnx", types.SimpleNamespace(to_onnx=refuse))
    with pytest.raises(
        UserError, match=r"^jax2onnx cannot convert this grader: RuntimeError: no such operator: Gather; .* instead$"
    ):
        exporting.export(pictures[0] / "regression-s0", tmp_path / "grader.onnx")
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    with pytest.raises(NotInstalled, match=r"^jax2onnx is not installed: pip install 'ordinal-blast\[onnx\]'$"):
        exporting.export(pictures[0] / "regression-s0", tmp_path / "grader.onnx")
    assert not list(tmp_path.iterdir())


def test_the_weights_of_a_cell_start_another_network_with_the_same_arrays(pictures, tmp_path):
    cells, _, _ = pictures
    file = tmp_path / "weights.safetensors"
    facts = exporting.export(cells / "corn-s0", file)
    want = initial.stored(cells / "corn-s0")
    assert facts == {"file": str(file), "bytes": file.stat().st_size, "arrays": len(want)}
    like = unflatten_dict({path: np.zeros_like(leaf) for path, leaf in want.items()})
    got = flatten_dict(initial.variables(NetworkSettings(name="xception", init_from=str(file)), like))
    assert got.keys() == want.keys()
    for path, leaf in want.items():
        np.testing.assert_array_equal(got[path], leaf)


def test_a_stage_that_learns_nothing_has_no_weights(tmp_path):
    (tmp_path / "crops").mkdir()
    (tmp_path / "crops" / "stage.json").write_text("{}")
    with pytest.raises(UsageError, match=r"^--run .*crops holds no trained network: give a finished cell, or a stage"):
        exporting.export(tmp_path / "crops", tmp_path / "w.safetensors")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A cell of a run on a table whose first column lies far from 0, and a table of new rows."""
    root = tmp_path_factory.mktemp("table")
    rng = np.random.default_rng(0)
    for kind, count in (("train", 60), ("val", 20), ("test", 20)):
        x = rng.normal(20_000, 3, count)
        rows = np.column_stack([x, rng.normal(size=count), 1 + np.digitize(x, [19_999, 20_001])])
        np.savetxt(root / f"{kind}.csv", rows, delimiter=",", fmt="%.9g", header="year,x,grade", comments="")
    changes = {
        "devices": 1,
        "data.source": "table",
        "data.root": str(root),
        "data.cache": str(root / "cache"),
        "data.options": {"label": "grade", **{name: f"{name}.csv" for name in ("train", "val", "test")}},
        "grader.standardize": True,
        "grader.network.options": {"widths": (8,)},
        "grader.training.epochs": 3,
        "grader.training.batch_size": 16,
    }
    chosen = settings.override(settings.Settings(), changes)
    cells = run_of(root, [("ce", {"objective.name": "cross_entropy"})], chosen)
    return cells / "ce-s0", root / "test.csv"


@pytest.mark.parametrize("suffix", [".jax", ".onnx"])
def test_rows_of_a_table_are_standardised_as_the_run_did_it(table, tmp_path, suffix):
    needs_onnx(suffix)
    cell, rows = table
    file = tmp_path / f"grader{suffix}"
    facts = exporting.export(cell, file, level=0)
    assert (facts["inputs"], facts["sets"]) == ({"numbers": {"shape": "[b, 2]", "dtype": "float32"}}, {})
    numbers = np.loadtxt(rows, delimiter=",", skiprows=1, dtype=np.float32)[:, :2]
    said = asked(file, {"numbers": numbers})
    assert sorted(said) == ["grade/grade", "grade/probs", "grade/score"]
    assert_same(said, grading.grade(cell, [rows]), "grade")


@pytest.mark.parametrize(
    ("run", "out", "message"),
    [
        ("cell", "x.pth", "--out .*x.pth has the suffix .pth: give FILE.jax, .onnx or .safetensors"),
        ("cell", "x", "--out .*x has the suffix none: give FILE.jax, .onnx or .safetensors"),
        ("cell", "there.jax", "--out .*there.jax: there is something already: give another name, or remove it"),
        ("cell", "there.jax/x.jax", "--out .*there.jax is not a folder: give another"),
        ("nowhere", "x.jax", r".*nowhere is no finished cell \(no result.json\): give a folder such as"),
        ("nowhere", "x.onnx", r".*nowhere is no finished cell \(no result.json\): give a folder such as"),
        ("nowhere", "x.safetensors", r".*nowhere is no finished cell \(no result.json\): give a folder such as"),
        ("unfinished", "x.jax", r".*unfinished is no finished cell \(no result.json\): give a folder such as"),
    ],
)
def test_what_cannot_be_exported_is_one_line_and_leaves_nothing(table, tmp_path, capsys, run, out, message):
    (tmp_path / "there.jax").write_text("mine")
    (tmp_path / "unfinished").mkdir()
    place = table[0] if run == "cell" else tmp_path / run
    assert cli.main(["export", "--run", str(place), "--out", str(tmp_path / out)]) == 2
    assert re.fullmatch(f"ordinal-blast: {message}.*\n", capsys.readouterr().err)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there.jax", "unfinished"]
    assert (tmp_path / "there.jax").read_text() == "mine"


def test_the_command_says_what_the_file_reads_and_says(table, tmp_path, capsys):
    file = tmp_path / "grader.jax"
    assert cli.main(["export", "--run", str(table[0]), "--out", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Exported: {file} ({file.stat().st_size:,} bytes)"
    assert "  reads numbers: float32 [b, 2]" in lines
    assert "  says grade/grade, grade/probs, grade/score, grade/lowest, grade/highest: 0 is 1, 1 is 2, 2 is 3" in lines
    file.unlink()
    assert cli.main(["export", "--run", str(table[0]), "--out", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["grades"] == {"grade": ["1", "2", "3"]}
    assert cli.main(["export", "--run", str(table[0]), "--out", str(tmp_path / "b.jax"), "--level", "1"]) == 2


def test_a_rule_of_ones_own_is_no_program():
    with pytest.raises(UsageError, match=r"^objective.rule is mine:rule, which is numpy code of your own, and no prog"):
        decisions.traced(get("corn", num_classes=3), "mine:rule", np.zeros((1, 2)))


def test_sets_of_grades_are_those_of_conformal_prediction():
    probs = np.random.default_rng(0).dirichlet(np.ones(5), 200).astype(np.float32)
    for threshold in (0.3, 0.7, 0.9, np.inf):
        sets = conformal.Conformal("lac", 0.9, threshold, 5, 100).sets(probs / probs.sum(1, keepdims=True, dtype=float))
        got = exporting._set(probs, threshold)
        assert (got["lowest"].tolist(), got["highest"].tolist()) == (sets.low.tolist(), sets.high.tolist())
