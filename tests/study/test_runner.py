"""Whole studies on tiny data: files written, cells skipped, shared and failed."""

import json

import numpy as np
import pytest

from ordinal_blast import objectives, record
from ordinal_blast.errors import UsageError
from ordinal_blast.evaluation import metrics
from ordinal_blast.study import cell, configuration, grid, runner, session

pytestmark = pytest.mark.usefixtures("compile_quickly")  # tests/training checks the optimised code
LOSSES = '''"""A question?"""
def variants():
    yield "cross_entropy", {"objective.name": "cross_entropy"}
    yield "median", {"objective.name": "cross_entropy", "objective.rule": "median"}
    yield "regression", {"objective.name": "thresholded_regression"}
'''


def plan(tmp_path, overrides, text=LOSSES, seeds=1):
    file = tmp_path / "question.py"
    file.write_text(text)
    return plans.ablation(str(file), settings.load("configs/retinamnist.py", overrides), seeds)


def go(made, root):
    return runner.run(made, root, "the command", session.begin(1))


@pytest.fixture(scope="module")
def study(tmp_path_factory, tiny_root, request):
    return tmp_path_factory.mktemp("study")


def result(root, name):
    return json.loads((root / "cells" / name / "result.json").read_text())


def test_a_study_writes_what_the_design_says_and_skips_what_is_finished(study, tiny_overrides, reading, capsys):
    root = study / "run"
    with reading() as unread:
        made = plan(study, tiny_overrides)
        assert go(made, root) == []
        assert unread([each.config for each in made.cells]) == set()
    described = json.loads((root / "plan.json").read_text())
    assert described["reference"] == "cross_entropy"
    assert described["cells"] == ["cross_entropy-s0", "median-s0", "regression-s0"]
    first = result(root, "cross_entropy-s0")
    assert {row["split"] for row in first["rows"]} == {"train", "val", "test"}
    with np.load(root / "cells" / "cross_entropy-s0" / "predictions.npz") as saved:
        labels, grades = saved["cnn/test/grade/labels"], saved["cnn/test/grade/grades"]
        assert saved["examples/frames"].shape == (2, 16, 16, 3)
        np.testing.assert_allclose(saved["cnn/test/grade/probs"].sum(axis=1), 1, rtol=1e-5)
    row = next(row for row in first["rows"] if row["split"] == "test")
    assert row["metrics"]["accuracy"] == metrics.accuracy(labels, grades, 3)
    assert row["n"] == 30
    stamps = {path: path.stat().st_mtime_ns for path in root.rglob("result.json")}
    capsys.readouterr()
    assert go(made, root) == []
    assert {path: path.stat().st_mtime_ns for path in root.rglob("result.json")} == stamps
    assert capsys.readouterr().err.count("finished before") == 3


def test_the_scores_of_a_run_rank_where_the_expected_grades_saturate(study):
    objective = objectives.get("cross_entropy", num_classes=3)
    with np.load(study / "run" / "cells" / "cross_entropy-s0" / "predictions.npz") as saved:
        outputs, scores = saved["cnn/test/grade/outputs"], saved["cnn/test/grade/scores"]
    np.testing.assert_allclose(scores, objective.score(outputs), rtol=1e-6)
    confident = cell.decide(objective, "native", list("abc"), [2] * 3, np.float32([[0, 0, g] for g in (19, 20, 21)]))
    assert len(np.unique(confident.scores.astype(scores.dtype))) == 3


def test_a_variant_that_only_decides_otherwise_is_not_trained_again(study):
    root = study / "run"
    trained, decided = result(root, "cross_entropy-s0"), result(root, "median-s0")
    assert decided["training"][0]["shared_with"] == "cross_entropy-s0"
    assert not (root / "cells" / "median-s0" / "checkpoints").exists()
    with (
        np.load(root / "cells" / "cross_entropy-s0" / "predictions.npz") as a,
        np.load(root / "cells" / "median-s0" / "predictions.npz") as b,
    ):
        np.testing.assert_array_equal(a["cnn/test/grade/outputs"], b["cnn/test/grade/outputs"])
        cumulative = np.cumsum(b["cnn/test/grade/probs"], axis=1)
        np.testing.assert_array_equal(b["cnn/test/grade/grades"], (cumulative < 0.5 - 1e-6).sum(axis=1))
    assert trained["objective"]["rule"] == "native"


def test_cut_points_are_stored_with_the_run(study):
    fitted = result(study / "run", "regression-s0")["objective"]["fitted"]["cnn/grade"]
    cuts = fitted["median_cuts"]
    assert len(cuts) == 2
    assert cuts == sorted(cuts)


def test_the_same_cell_gives_the_same_numbers(study, tiny_overrides):
    text = '"""Again?"""\ndef variants():\n    yield "cross_entropy", {"objective.name": "cross_entropy"}\n'
    go(plan(study, tiny_overrides, text), study / "again")
    a, b = result(study / "run", "cross_entropy-s0"), result(study / "again", "cross_entropy-s0")
    assert a["rows"] == b["rows"]


def test_another_configuration_in_the_same_folder_is_refused(study, tiny_overrides):
    changed = plan(study, tiny_overrides | {"cnn.training.epochs": 4})
    with pytest.raises(UsageError, match=r"begun with cnn.training.epochs=3, now it is 4: use another --workdir"):
        go(changed, study / "run")


@pytest.mark.parametrize("error", [RuntimeError("the lights went out"), SystemExit("the lights went out")])
def test_a_failed_cell_is_told_and_the_others_go_on(tmp_path, tiny_overrides, monkeypatch, capsys, error):
    made = plan(tmp_path, tiny_overrides)
    train = cell.train

    def fail(config, variant, *rest):
        if config.objective.name == "cross_entropy":
            raise error
        train(config, variant, *rest)

    monkeypatch.setattr(cell, "train", fail)
    assert go(made, tmp_path / "run") == ["cross_entropy-s0", "median-s0"]
    assert f"FAILED: {type(error).__name__}: the lights went out" in capsys.readouterr().err
    assert (
        (tmp_path / "run/cells/cross_entropy-s0/error.txt")
        .read_text()
        .startswith(f"{type(error).__name__}: the lights")
    )
    assert record.finished(tmp_path / "run/cells/regression-s0")


def test_an_unknown_objective_stops_before_any_work(tmp_path, tiny_overrides):
    text = 'def variants():\n    yield "x", {"objective.name": "cross_entropie"}\n'
    with pytest.raises(UsageError, match=r"objective: .*cross_entropie.*cross_entropy"):
        go(plan(tmp_path, tiny_overrides, text), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_batch_larger_than_the_training_set_is_told_and_takes_all_of_it(tmp_path, tiny_overrides, capsys):
    text = 'def variants():\n    yield "x", {"objective.name": "cross_entropy"}\n'
    changes = {"cnn.training.batch_size": 64, "cnn.training.epochs": 1, "cnn.training.select": "val_qwk"}
    assert go(plan(tmp_path, tiny_overrides | changes, text), tmp_path / "run") == []
    assert "batch_size is 64, so every step takes all 60 training examples" in capsys.readouterr().err
