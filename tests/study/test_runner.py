"""Whole studies on tiny data: files written, cells skipped, shared and failed."""

import numpy as np
import pytest

from ordinal_blast import objectives, record, settings
from ordinal_blast.errors import UsageError
from ordinal_blast.evaluation import metrics
from ordinal_blast.study import cell, decisions, runner, session
from ordinal_blast.study import plan as plans

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


def go(planned, root):
    return runner.run(planned, root, "the command", session.begin(1))


@pytest.fixture(scope="module")
def study(tmp_path_factory, tiny_overrides, compile_quickly):
    """A folder whose `run` holds the finished study."""
    folder = tmp_path_factory.mktemp("study")
    assert go(plan(folder, tiny_overrides), folder / "run") == []
    return folder


def read(root, name):
    return record.read(root / "cells" / name)


def of_test(root, name):
    return read(root, name).models["cnn"].splits["test"].tasks["grade"]


def test_a_study_writes_what_the_design_says_and_skips_what_is_finished(study, tiny_overrides, capsys):
    root = study / "run"
    described = record.read_plan(root)
    assert described["reference"] == "cross_entropy"
    assert described["cells"] == ["cross_entropy-s0", "median-s0", "regression-s0"]
    first = read(root, "cross_entropy-s0")
    assert list(first.models["cnn"].splits) == ["train", "val", "test"]
    with np.load(f"{tiny_overrides['data.root']}/tiny.npz") as arrays:
        np.testing.assert_array_equal(first.examples.frames, arrays["test_images"][:2])
    assert first.examples.ids.tolist() == ["test-00000", "test-00001"]
    result = of_test(root, "cross_entropy-s0")
    np.testing.assert_allclose(result.probs.sum(axis=1), 1, rtol=1e-5)
    assert result.measures["accuracy"] == metrics.accuracy(result.labels, result.grades, 3)
    assert len(result.labels) == 30
    stamps = {path: path.stat().st_mtime_ns for path in root.rglob("result.json")}
    capsys.readouterr()
    assert go(plan(study, tiny_overrides), root) == []
    assert {path: path.stat().st_mtime_ns for path in root.rglob("result.json")} == stamps
    assert capsys.readouterr().err.count("finished before") == 3


def test_the_scores_of_a_run_rank_where_the_expected_grades_saturate(study):
    objective = objectives.get("cross_entropy", num_classes=3)
    result = of_test(study / "run", "cross_entropy-s0")
    np.testing.assert_allclose(result.scores, objective.score(result.outputs), rtol=1e-6)
    confident = decisions.decide(objective, "native", np.float32([[0, 0, g] for g in (19, 20, 21)]))
    assert len(np.unique(confident.scores.astype(result.scores.dtype))) == 3


def test_a_variant_that_only_decides_otherwise_is_not_trained_again(study):
    root = study / "run"
    assert read(root, "median-s0").models["cnn"].training["shared_with"] == "cross_entropy-s0"
    assert not (root / "cells" / "median-s0" / "checkpoints").exists()
    shown, again = (read(root, name).examples for name in ("cross_entropy-s0", "median-s0"))
    np.testing.assert_array_equal(shown.frames, again.frames)
    np.testing.assert_array_equal(shown.ids, again.ids)
    trained, decided = of_test(root, "cross_entropy-s0"), of_test(root, "median-s0")
    np.testing.assert_array_equal(trained.outputs, decided.outputs)
    cumulative = np.cumsum(decided.probs, axis=1)
    np.testing.assert_array_equal(decided.grades, (cumulative < 0.5 - 1e-6).sum(axis=1))
    assert read(root, "cross_entropy-s0").objective["rule"] == "native"


def test_cut_points_are_stored_with_the_run(study):
    cuts = read(study / "run", "regression-s0").models["cnn"].fitted["grade"]["median_cuts"]
    assert len(cuts) == 2
    assert list(cuts) == sorted(cuts)


def test_the_same_cell_gives_the_same_numbers(study, tiny_overrides):
    text = '"""Again?"""\ndef variants():\n    yield "cross_entropy", {"objective.name": "cross_entropy"}\n'
    go(plan(study, tiny_overrides, text), study / "again")
    first, again = (of_test(study / name, "cross_entropy-s0") for name in ("run", "again"))
    np.testing.assert_array_equal(first.outputs, again.outputs)
    assert first.measures == again.measures


def test_other_settings_in_the_same_folder_are_refused(study, tiny_overrides):
    changed = plan(study, tiny_overrides | {"cnn.training.epochs": 4})
    with pytest.raises(UsageError, match=r"begun with cnn.training.epochs=3, now it is 4: use another --workdir"):
        go(changed, study / "run")


@pytest.mark.parametrize("error", [RuntimeError("the lights went out"), SystemExit("the lights went out")])
def test_a_failed_cell_is_printed_and_the_others_go_on(tmp_path, tiny_overrides, monkeypatch, capsys, error):
    planned = plan(tmp_path, tiny_overrides)
    train = cell.train

    def fail(one, *rest):
        if one.settings.objective.name == "cross_entropy":
            raise error
        train(one, *rest)

    monkeypatch.setattr(cell, "train", fail)
    assert go(planned, tmp_path / "run") == ["cross_entropy-s0", "median-s0"]
    assert f"FAILED: {type(error).__name__}: the lights went out" in capsys.readouterr().err
    assert (
        (tmp_path / "run/cells/cross_entropy-s0/error.txt")
        .read_text()
        .startswith(f"{type(error).__name__}: the lights")
    )
    assert record.finished(tmp_path / "run/cells/regression-s0")


def test_an_unknown_objective_stops_before_any_work(tmp_path, tiny_overrides):
    text = 'def variants():\n    yield "x", {"objective.name": "cross_entropie"}\n'
    with pytest.raises(UsageError, match=r"^objective is .cross_entropie. \(did you mean cross_entropy"):
        go(plan(tmp_path, tiny_overrides, text), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_batch_larger_than_the_training_set_is_refused_before_any_work_of_any_variant(tmp_path, tiny_overrides):
    text = 'def variants():\n    yield "fits", {}\n    yield "large", {"cnn.training.batch_size": 64}\n'
    with pytest.raises(UsageError, match=r"cnn.training.batch_size is 64, and there are 60 training examples"):
        go(plan(tmp_path, tiny_overrides, text), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_decision_and_a_measure_of_ones_own_are_reported_without_training_again(tmp_path, tiny_overrides):
    own = tmp_path / "mine.py"
    own.write_text(
        "import numpy as np\n"
        "def worst(probs):\n    return np.zeros(len(probs), int)\n"
        "def missed(labels, grades, *, num_classes, probs):\n    return float((labels != grades).sum())\n"
        "missed.higher_is_better = False\n"
    )
    text = f'def variants():\n    yield "mode", {{}}\n    yield "worst", {{"objective.rule": "{own}:worst"}}\n'
    changes = {"measures": (f"{own}:missed",), "objective.name": "cross_entropy"}
    assert go(plan(tmp_path, tiny_overrides | changes, text), tmp_path / "run") == []
    worst = read(tmp_path / "run", "worst-s0")
    assert (worst.objective["decides_by"], worst.measures) == ("worst", {"missed": False})
    assert worst.models["cnn"].training["shared_with"] == "mode-s0"
    result = of_test(tmp_path / "run", "worst-s0")
    assert not result.grades.any()
    assert result.measures["missed"] == (result.labels > 0).sum()
    assert "mine.py" in "".join(worst.identity["code"])


def test_a_part_that_is_edited_during_a_run_runs_as_it_was_until_its_end(tmp_path, tiny_overrides):
    (tmp_path / "beside_5.py").write_text("weight = 1\n")
    own = tmp_path / "mine.py"
    own.write_text(
        "from pathlib import Path\nimport beside_5\n"
        "def edited(labels, grades, *, num_classes, probs):\n"
        "    for name in ('beside_5.py', 'mine.py'):\n"
        "        Path(__file__).with_name(name).write_text('def edited(*_, **__):\\n    return 2.0\\nweight = 2\\n')\n"
        "    return float(beside_5.weight)\n"
    )
    text = 'def variants():\n    yield "mode", {}\n    yield "mean", {"objective.rule": "mean"}\n'
    planned = plan(tmp_path, tiny_overrides | {"measures": (f"{own}:edited",), "cnn.training.epochs": 1}, text)
    assert go(planned, tmp_path / "run") == []
    for name in ("mode-s0", "mean-s0"):
        assert of_test(tmp_path / "run", name).measures["edited"] == 1.0
    one, two = (read(tmp_path / "run", name).identity["code"] for name in ("mode-s0", "mean-s0"))
    assert one == two
    with pytest.raises(UsageError, match=r"another text of beside_5.py, mine.py"):
        go(planned, tmp_path / "run")
    assert go(planned, tmp_path / "again") == []
    assert of_test(tmp_path / "again", "mode-s0").measures["edited"] == 2.0
