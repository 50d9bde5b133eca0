"""What a record says of a cell, on a stage that learns nothing, and what makes two trainings one."""

import contextlib
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import optimize, special

from ordinal_blast import objectives, record, settings
from ordinal_blast.data.batches import inverse_frequency
from ordinal_blast.errors import UsageError
from ordinal_blast.evaluation import metrics
from ordinal_blast.settings import ObjectiveSettings, SplitSettings
from ordinal_blast.study import cell, decisions, runner, session
from ordinal_blast.study import plan as plans
from ordinal_blast.types import Task

pytestmark = pytest.mark.usefixtures("compile_quickly")  # tests/training checks the optimised code
STAGE = '''
"""A stage that says its numbers, and a measure that counts what it is asked of."""
from ordinal_blast.settings import StageSettings
from ordinal_blast.study.grader import _examples
from ordinal_blast.study.recipe import Graded, Stage

class Says(Stage):
    Settings = StageSettings
    reads, makes = ("numbers",), ()

    def build(self, inputs, folder, work):
        (folder / "checkpoints").mkdir()
        return {"built": 1}

    def grade(self, inputs, folder, work):
        examples = _examples(inputs["numbers"], work)
        outputs = {
            split: {task.name: part.inputs(range(len(part))) for task in work.material.tasks}
            for split, part in examples.items()
        }
        return Graded(examples, outputs, {"epochs": 1}, (1,), "float32")

    def restore(self, folder, record):
        return dict

def likely(probs):
    return probs.argmax(axis=1)

def count(labels, grades, *, num_classes, probs):
    assert len(labels) == len(grades) == len(probs) and probs.shape[1] == num_classes
    return len(labels)
'''


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The plan and the folder of a finished study, two decisions and one task alone, and its arrays."""
    folder = tmp_path_factory.mktemp("cell")
    (folder / "says.py").write_text(STAGE)
    rng = np.random.default_rng(36)  # calibrations of its twelve validation rows are within bounds
    count = 90
    labels = rng.choice(3, count, p=(0.5, 0.1, 0.4))
    x = (labels + rng.normal(0, 1.5, count))[:, None].astype(np.float32)
    missing = np.where(np.arange(count) % 4 == 0, -1, labels)
    split = np.repeat(["train", "val", "test"], (60, 12, 18))
    group = [f"patient {row // 2}" for row in range(count)]
    arrays = {"x": x, "y_one": labels, "y_two": missing, "split": split, "group": group}
    np.savez(folder / "rows.npz", **arrays)
    config = {
        "name": "says",
        "devices": 1,
        "class_weights": "inverse_frequency",
        "measures": (f"{folder}/says.py:count",),
        "objective": {"name": "thresholded_regression"},
        "data": {
            "source": "arrays",
            "root": f"{folder}/rows.npz",
            "cache": f"{folder}/cache",
            "options": {"grades": ("low", "middle", "high"), "licence": "free", "citation": "Me 2026"},
        },
        "chain": ("says",),
        "says": {"stage": f"{folder}/says.py:Says"},
    }
    variants = [
        ("mean", {"objective.rule": "mean"}),
        ("median", {"objective.rule": "median"}),
        ("alone", {"tasks": ("two",)}),
        ("temperature", {"objective.rule": "median", "objective.calibration": "temperature"}),
        ("vector", {"objective.rule": f"{folder}/says.py:likely", "objective.calibration": "vector"}),
    ]
    plan = plans.of_variants("Which?", variants, settings.resolve(config, "a test"), 1)
    (failed := record.folder_of(folder / "run", "mean-s0")).mkdir(parents=True)
    (failed / record.ERROR).write_text("of an earlier sitting")
    assert runner.run(plan, folder / "run", "the command", session.begin(1)) == []
    return plan, folder / "run", arrays


def result(study, task, split="test", variant="median"):
    _, root, _ = study
    return record.read(root / f"cells/{variant}-s0").models["says"].splits[split].tasks[task]


ROWS = {"train": slice(0, 60), "val": slice(60, 72), "test": slice(72, 90)}


@pytest.mark.parametrize(("task", "key"), [("one", "y_one"), ("two", "y_two")])
def test_labels_outputs_and_weights_are_those_of_the_rows_and_of_the_training_grades(study, task, key):
    arrays = study[2]
    by_grade = inverse_frequency(arrays[key][ROWS["train"]], 3)
    for split, rows in ROWS.items():
        kept, labels = result(study, task, split), arrays[key][rows]
        np.testing.assert_array_equal(kept.labels, labels)
        np.testing.assert_array_equal(kept.outputs, arrays["x"][rows])
        np.testing.assert_array_equal(kept.weights, np.where(labels < 0, 0, by_grade[labels]))


@pytest.mark.parametrize("variant", ["mean", "median"])
def test_a_decision_is_fitted_on_the_training_rows_with_their_weights(study, variant):
    _, root, _ = study
    objective, fitted = objectives.get("thresholded_regression", num_classes=3), {}
    for task in ("one", "two"):
        train = result(study, task, "train", variant)
        fitted[task] = objective.fit(train.outputs, train.labels, train.weights)
        kept = result(study, task, "test", variant)
        np.testing.assert_array_equal(kept.grades, fitted[task].predict(kept.outputs, rule=variant))
        np.testing.assert_allclose(kept.loss, objective.loss(kept.outputs, kept.labels, kept.weights), rtol=1e-6)
    stored = record.read(root / f"cells/{variant}-s0").models["says"].fitted
    for task in fitted:
        for name, value in fitted[task].fitted.items():
            np.testing.assert_allclose(stored[task][name], value, rtol=1e-6)
    assert stored["one"] != stored["two"]
    assert (result(study, "one", variant="mean").grades != result(study, "one", variant="median").grades).any()


@pytest.mark.parametrize("task", ["one", "two"])
def test_a_temperature_has_the_least_log_loss_on_the_validation_rows_that_have_a_label(study, task):
    _, root, _ = study
    kept = record.read(root / "cells/temperature-s0").models["says"]
    assert kept.training["shared_with"] == "mean-s0"
    fitted = kept.fitted[task]["calibration"]
    plain = {split: result(study, task, split) for split in ROWS}
    labels, known = plain["val"].labels, plain["val"].labels >= 0

    def scaled(split, slope):
        return special.log_softmax(slope * np.log(plain[split].probs.astype(np.float64)), axis=1)

    def loss(slope):
        return -scaled("val", slope)[known, labels[known]].mean()

    slope = optimize.minimize_scalar(loss, bounds=(1e-2, 10), method="bounded", options={"xatol": 1e-9}).x
    assert fitted["slope"] == pytest.approx([slope] * 3, rel=1e-4)
    assert (fitted["method"], fitted["offset"]) == ("temperature", [0.0] * 3)
    assert (fitted["examples"], fitted["selects_epoch"]) == (known.sum(), False)
    for split in ROWS:
        calibrated = result(study, task, split, "temperature")
        np.testing.assert_allclose(calibrated.probs, np.exp(scaled(split, slope)), rtol=1e-3, atol=1e-6)
        np.testing.assert_array_equal(calibrated.grades, plain[split].grades)  # its cut points decide
        np.testing.assert_array_equal(calibrated.scores, plain[split].scores)


def test_a_vector_matches_the_mean_probability_of_a_grade_to_its_share_and_rules_see_it(study):
    calibrated = result(study, "one", "val", "vector")
    shares = np.bincount(calibrated.labels, minlength=3) / len(calibrated.labels)
    np.testing.assert_allclose(calibrated.probs.mean(axis=0), shares, atol=1e-4)  # where the gradient of offsets is 0
    np.testing.assert_array_equal(calibrated.grades, calibrated.probs.argmax(axis=1))
    assert abs(result(study, "one", "val").probs.mean(axis=0) - shares).max() > 0.01


def test_a_calibration_without_examples_to_fit_is_refused_before_any_work():
    tasks = (Task("one", ("low", "middle", "high")),)
    columns = {"label/one": np.asarray([0, 1, 2, 0, 2, -1])}
    for rows, method, message in (
        ([3, 4, 5], "vector", "vector, and no validation example of task one has the grade middle: use temperature"),
        ([5], "temperature", "temperature, and no validation example of task one has the grade low: use none"),
        ([3, 4, 5], "temperature", ""),
        ([5], "none", ""),
        ([0, 1, 2], "vector", ""),
    ):
        material = SimpleNamespace(
            tasks=tasks, dataset=SimpleNamespace(columns=columns), splits={"val": np.array(rows)}
        )
        with pytest.raises(UsageError, match=message) if message else contextlib.nullcontext():
            decisions.check_calibration(ObjectiveSettings(calibration=method), material)


def test_only_rows_with_a_label_are_measured(study):
    kept = result(study, "two")
    there = kept.labels >= 0
    assert 0 < kept.n == there.sum() < len(there)
    assert kept.measures["count"] == kept.n
    assert kept.measures["mae"] == metrics.mae(kept.labels[there], kept.grades[there], 3)
    assert result(study, "one").measures["count"] == 18


def test_a_record_says_what_the_data_are_and_how_they_are_divided(study):
    plan, root, arrays = study
    kept = record.read(root / "cells/mean-s0")
    assert kept.dataset["name"] == "rows"
    assert (kept.dataset["licence"], kept.dataset["citation"]) == ("free", "Me 2026")
    assert kept.dataset["sizes"] == {"train": 60, "val": 12, "test": 18}
    assert kept.dataset["split"] == "as published with the dataset"
    assert kept.dataset["extras"]["columns"] == ["x1"]
    took = kept.stages["says"].pop(record.BUILT)
    assert took >= 0
    assert kept.stages == {"says": {"built": 1}}
    assert kept.measures == {"count": True}
    assert kept.settings == settings.tree(plan.cells[0].settings)
    assert (kept.seed, kept.variant, kept.experiment) == (0, "mean", "says")
    np.testing.assert_array_equal(kept.models["says"].splits["test"].columns["group"], arrays["group"][72:])


def test_a_cell_that_failed_before_has_no_error_when_it_is_done(study):
    assert record.failure(study[1] / "cells/mean-s0") is None


def test_a_division_is_said_in_words():
    dataset = SimpleNamespace(name="", summary="", licence="", citation="", identity="", extras={})
    material = SimpleNamespace(dataset=dataset, splits={"train": np.arange(3)})
    by_group = cell._dataset(material, SplitSettings("group", (0.5, 0.25, 0.25)))
    assert by_group["split"] == "by group, shares (0.5, 0.25, 0.25)"
    assert cell._dataset(material, SplitSettings())["split"] == "as published with the dataset"


def test_a_cell_that_shares_its_training_has_all_of_it_but_the_decision(study):
    _, root, _ = study
    trained, decided = (record.read(root / f"cells/{name}-s0") for name in ("mean", "median"))
    assert "shared_with" not in trained.models["says"].training
    assert decided.models["says"].training == {"epochs": 1, "shared_with": "mean-s0"}
    assert (trained.objective["rule"], decided.objective["rule"]) == ("mean", "median")
    assert decided.stages == trained.stages
    assert decided.provenance["device"] == trained.provenance["device"]
    for task in ("one", "two"):
        for split in ROWS:
            first, second = (result(study, task, split, name) for name in ("mean", "median"))
            for field in ("labels", "weights", "outputs"):
                np.testing.assert_array_equal(getattr(first, field), getattr(second, field))


def test_a_finished_cell_that_was_not_trained_is_not_taken_for_another(study):
    plan, root, _ = study
    folder, chosen = root / "cells/median-s0", plan.cells[1].settings
    assert not (folder / "checkpoints").exists()
    identified = record.read(folder).identity
    assert cell.claim(folder, chosen, identified, False) == []
    with pytest.raises(UsageError, match=r"begun with objective.rule='median', now it is 'mode': use another"):
        cell.claim(folder, settings.override(chosen, {"objective.rule": "mode"}), identified, False)
    assert record.read(folder).settings == settings.tree(chosen)


def test_a_variant_of_one_task_has_the_rows_with_a_label_of_that_task_alone(study):
    _, root, arrays = study
    alone = record.read(root / "cells/alone-s0")
    assert [task.name for task in alone.tasks] == ["two"]
    assert "shared_with" not in alone.models["says"].training
    for split, rows in ROWS.items():
        labels = arrays["y_two"][rows]
        # Tested on the rows of every variant, whatever its tasks: only such scores can be compared.
        kept = labels if split == "test" else labels[labels >= 0]
        np.testing.assert_array_equal(result(study, "two", split, "alone").labels, kept)
        assert alone.dataset["sizes"][split] == len(kept)


def test_all_that_changes_the_training_and_nothing_else_makes_another_training():
    base = settings.load("configs/era.py")
    same = {"objective.rule": "median", "objective.correct_weights": True, "measures": ("a.py:b",), "data.root": "x"}
    same |= {"objective.calibration": "vector", "objective.adjust_decision": 1.0}
    other = {
        "seed": 1,
        "tasks": (),
        "class_weights": "inverse_frequency",
        "objective.name": "corn",
        "objective.options.power": 2.0,
        "objective.adjust_loss": 1.0,
        "divide_by": "examples",
        "learns_from": "majority",
        "data.split.unseen": ("id=x",),
        "data.outcomes.y": ("a", "b"),
        "data.split.by": "group",
        "data.options.holdout": 3,
        "mlp.network.options.widths": (3,),
        "mlp.network.init_from": "x",
        "mlp.standardize": False,
        "mlp.training.ema": 0.5,
        "mlp.optimizer.clip_norm": 1.0,
        "mlp.schedule": "cosine",
        "mlp.augment": "quarter",
    }
    digest = cell.training_digest(base, "data")
    assert cell.training_digest(settings.override(base, same), "data") == digest
    digests = [cell.training_digest(settings.override(base, {key: value}), "data") for key, value in other.items()]
    assert len({digest, *digests, cell.training_digest(base, "other data")}) == len(other) + 2


IDENTITY = {"variant": "a", "data": "d", "code": {"mine.py": "1", "ordinal_blast/seeds.py": "1"}}


@pytest.fixture
def begun(tmp_path):
    """A cell whose training has begun."""
    base = settings.load("configs/era.py")
    assert cell.claim(tmp_path, base, IDENTITY, False) == []
    (tmp_path / "checkpoints").mkdir()
    return tmp_path, base


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variant": "b"}, "the variant 'a', now it is 'b': use another --workdir"),
        ({"data": "e"}, "other data, of digest 'd', now it is 'e': use another --workdir"),
    ],
)
def test_another_variant_or_other_data_are_refused_though_changed_code_is_allowed(begun, change, message):
    folder, base = begun
    for allowed in (False, True):
        with pytest.raises(UsageError, match=f"was begun with {message}"):
            cell.claim(folder, base, IDENTITY | change, allowed)


def test_changed_code_is_refused_by_name_and_where_it_is_allowed_becomes_what_the_cell_is_made_of(begun):
    folder, base = begun
    changed = IDENTITY | {"code": {"mine.py": "2", "ordinal_blast/seeds.py": "2"}}
    with pytest.raises(UsageError, match=r"begun with another text of mine.py, ordinal_blast/seeds.py \(--allow-chang"):
        cell.claim(folder, base, changed, False)
    assert record.began(folder)[1] == IDENTITY
    assert cell.claim(folder, base, changed, True) == ["mine.py", "ordinal_blast/seeds.py"]
    assert record.began(folder)[1] == changed
    assert cell.claim(folder, base, changed, False) == []


def test_what_was_begun_and_not_trained_may_become_another(tmp_path):
    base = settings.load("configs/era.py")
    cell.claim(tmp_path, base, IDENTITY, False)
    changed, identity = settings.override(base, {"objective": "corn"}), IDENTITY | {"data": "e"}
    assert cell.claim(tmp_path, changed, identity, False) == []
    assert record.began(tmp_path) == (settings.tree(changed), identity)
