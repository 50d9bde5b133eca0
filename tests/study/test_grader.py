"""What a grader trains with is what settings and data say; nothing is trained here."""

import dataclasses
import functools
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from ordinal_blast.data import augment
from ordinal_blast.data.batches import fixed, inverse_frequency
from ordinal_blast.data.material import Material
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.evaluation import metrics
from ordinal_blast.settings import (
    AugmentSettings,
    GraderSettings,
    NetworkSettings,
    ObjectiveSettings,
    OptimizerSettings,
    ScheduleSettings,
    Settings,
    TrainingSettings,
    tree,
)
from ordinal_blast.study import cell, decisions, grader
from ordinal_blast.study.grader import Grader
from ordinal_blast.study.recipe import Goal, Work
from ordinal_blast.training import course, initial, loop, optimizer, parallel
from ordinal_blast.training.problem import OnInputs
from ordinal_blast.types import Task

SPLITS = {"train": [5, 1, 3, 7], "val": [0, 4, 6], "test": [2]}  # rows 6 and 7 have no label
LABELS = np.asarray([2, 0, 1, 1, 0, 1, -1, -1])


class Rows:
    """Eight rows."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.columns = {
            "id": np.asarray([f"row {row}" for row in range(8)]),
            "group": np.asarray([f"patient {row}" for row in range(8)]),
            "age": np.arange(8),
            "numbers": np.column_stack([rng.normal(3, 2, (8, 2)), np.full(8, 7.0)]).astype(np.float32),
            "images": rng.integers(0, 255, (8, 4, 4, 3), np.uint8),
            "label/one": LABELS,
        }

    def __len__(self):
        return 8


@pytest.fixture
def trained(monkeypatch, tmp_path):
    """`trained(section, column)`: all that training is called with, the work, and the facts that are kept."""

    def run(section, column):
        calls = {}

        def begin(problem, train, val, training, **rest):
            calls.update(rest, problem=problem, train=train, val=val, training=training)
            return SimpleNamespace(together=1)

        def finish(begun, devices):
            calls.update(devices=devices)
            return course.Fitted({}, 3, [{"seconds": 1.5}, {"seconds": 2.0}])

        monkeypatch.setattr(grader, "Course", begin)
        monkeypatch.setattr(loop, "finish", finish)
        monkeypatch.setattr(grader.familiarity, "keep", lambda *what: None)  # no network is trained
        tasks, objective = (Task("one", ("low", "middle", "high")),), ObjectiveSettings()
        rows = {name: np.asarray(chosen) for name, chosen in SPLITS.items()}
        everything = rows | {"train": np.asarray([*SPLITS["train"], 2])}
        material = Material(Rows(), tasks, rows, everything, ())
        progress = SimpleNamespace(epoch=lambda name: name)
        session = SimpleNamespace(devices=("a device",), progress=progress)
        work = Work(material, Goal(objective, "inverse_frequency", 7), decisions.bind(objective, tasks), session)
        inputs = {column: fixed(material.dataset.columns[column])}
        facts = Grader("cnn", section).build(inputs, tmp_path, work)
        return calls, work, facts

    return run


def test_rows_labels_and_weights_of_each_split_are_its_own(trained):
    calls, work, _ = trained(GraderSettings(reads="numbers"), "numbers")
    columns = work.material.dataset.columns
    by_grade = inverse_frequency(LABELS[SPLITS["train"]], 3)
    for split in ("train", "val"):
        examples, rows = calls[split], SPLITS[split]
        np.testing.assert_array_equal(examples.ids, columns["id"][rows])
        np.testing.assert_array_equal(examples.inputs(np.arange(len(rows))), columns["numbers"][rows])
        np.testing.assert_array_equal(examples.labels["one"], LABELS[rows])
        want = np.where(LABELS[rows] < 0, 0, by_grade[LABELS[rows]])
        np.testing.assert_array_equal(examples.weights["one"], want)
        assert set(examples.extras) == {"group", "age"}
        np.testing.assert_array_equal(examples.extras["age"], np.asarray(rows))


def test_numbers_are_standardised_by_the_rows_that_are_trained_on_and_a_constant_is_0(trained):
    calls, work, facts = trained(GraderSettings(reads="numbers", standardize=True), "numbers")
    numbers = work.material.dataset.columns["numbers"].astype(np.float64)
    train = numbers[SPLITS["train"]]
    for split in ("train", "val"):
        got = calls[split].inputs(np.arange(len(SPLITS[split])))
        want = (numbers[SPLITS[split]] - train.mean(axis=0)) / [*train.std(axis=0)[:2], 1]
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(facts["standardized"]["mean"], train.mean(axis=0), rtol=1e-6)
    assert (facts["seconds"], facts["best_epoch"]) == (3.5, 3)


def test_training_gets_the_sections_of_its_stage_the_seed_the_view_and_the_weights_to_start_from(trained, tmp_path):
    section = GraderSettings(
        reads="images",
        network=NetworkSettings(init_from="w.safetensors"),
        augment=AugmentSettings("quarter"),
        optimizer=OptimizerSettings("sgd", 0.5, {"momentum": 0.9}, 2.0, 3),
        schedule=ScheduleSettings("cosine", {"end": 0.1}),
        training=TrainingSettings(batch_size=2, ema=0.5, balance="one"),
    )
    calls, _, _ = trained(section, "images")
    assert calls["training"] is section.training
    assert (calls["seed"], calls["directory"], calls["devices"]) == (7, tmp_path, ("a device",))
    problem = calls["problem"]
    assert problem.augment == OnInputs(augment.make(section.augment, "cnn.augment"))
    assert problem.optimizer == optimizer.make(section.optimizer, section.schedule, section.training, "cnn")
    assert (problem.optimizer.clip_norm, problem.optimizer.accumulate, problem.optimizer.ema) == (2.0, 3, 0.5)
    assert isinstance(calls["initial"], functools.partial)
    assert (calls["initial"].func, calls["initial"].args) == (initial.variables, (section.network,))
    calls, _, _ = trained(GraderSettings(reads="images"), "images")
    assert calls["initial"] is calls["problem"].augment is None


def test_epochs_are_measured_on_the_labels_of_the_validation_set(trained):
    calls, _, _ = trained(GraderSettings(reads="numbers"), "numbers")
    grades = np.asarray([1, 0, 2])
    monitor, outputs = calls["monitor"], {"one": np.eye(3, dtype=np.float32)[grades]}
    measured = monitor.measure(jax.tree.map(np.asarray, monitor.sees(outputs, calls["val"].labels)))
    labels, grades = LABELS[SPLITS["val"][:2]], grades[:2]  # the third has no label
    assert measured == {
        "val_qwk": metrics.qwk(labels, grades, 3),
        "val_mae": metrics.mae(labels, grades, 3),
        "val_rmse": metrics.rmse(labels, grades, 3),
    }
    assert measured["val_mae"] == 0.5


def test_a_grader_reads_what_is_said_before_what_its_network_declares_and_else_images(tmp_path):
    (tmp_path / "nets.py").write_text("import flax.linen as nn\nclass Net(nn.Module):\n    pass\n")
    own = f"{tmp_path}/nets.py:Net"
    for reads, network, expected in (
        ("", "mlp", "numbers"),
        ("images", "mlp", "images"),
        ("", own, "images"),
        ("sequences", own, "sequences"),
    ):
        assert Grader("cnn", GraderSettings(reads=reads, network=NetworkSettings(network))).reads == (expected,)


def test_new_examples_are_standardised_and_decided_by_what_training_fitted_and_without_the_weights(monkeypatch):
    task, variables, seen = Task("one", ("low", "middle", "high")), {"params": {}}, []
    outputs = np.asarray([[-0.4], [0.9], [1.1], [3.0]], np.float32)

    def predict(problem, of_network, inputs, count, size, devices):
        assert of_network is variables
        seen.append(inputs(np.arange(count)))
        return {"one": outputs}

    monkeypatch.setattr(loop, "restore", lambda problem, like, folder: variables)
    monkeypatch.setattr(parallel, "predict", predict)
    x = np.arange(8, dtype=np.float32).reshape(4, 2)

    def graded(objective, fitted, undone):
        chosen = dataclasses.replace(Settings(), chain=("mlp",), stages={"mlp": GraderSettings()}, objective=objective)
        kept = SimpleNamespace(
            settings=tree(chosen),
            tasks=(task,),
            models={"mlp": SimpleNamespace(fitted={"one": fitted}, inputs=(2,), dtype="float32")},
            stages={"mlp": {"standardized": {"mean": [1.0, 2.0], "sd": [2.0, 4.0]}}},
            objective={"undone_weights": undone},
        )
        values = Grader("mlp", GraderSettings()).restore(Path("a"), kept)({"numbers": x, "names": "abcd"})
        assert (values["grader"], values["names"]) == ("mlp", "abcd")
        return values["graded"]["one"]

    regression = ObjectiveSettings("thresholded_regression", rule="median")
    train = np.asarray([[-0.5], [0.8], [1.0], [1.05], [2.5], [2.9]], np.float32), np.asarray([0, 0, 1, 1, 2, 2])
    fitted = decisions.bind(regression, (task,))["one"].fit(*train)
    said = graded(regression, fitted.fitted, {})
    np.testing.assert_array_equal(said.grades, fitted.predict(outputs, rule="median"))
    np.testing.assert_allclose(said.probs, np.exp(fitted.log_probs(outputs)), rtol=1e-5)
    np.testing.assert_allclose(seen[0], (x - [1, 2]) / [2, 4], rtol=1e-6)
    outputs = np.log(np.asarray([[0.5, 0.3, 0.2]] * 4, np.float32))
    weights = [0.5, 3.0, 0.25]
    said = graded(ObjectiveSettings(correct_weights=True), {}, {"one": weights})
    undone = np.asarray([0.5, 0.3, 0.2]) / weights
    np.testing.assert_allclose(said.probs, [undone / undone.sum()] * 4, rtol=1e-5)
    assert said.grades.tolist() == [0] * 4


RULES = """
import numpy as np

def best(probs):
    return probs.argmax(axis=1)

def shares(probs):
    return probs.max(axis=1)

def one(probs):
    return 1

def beyond(probs):
    return np.full(len(probs), probs.shape[1])

def below(probs):
    return np.full(len(probs), -1)

def breaks(probs):
    raise ValueError("no idea")
"""


@pytest.fixture
def bound():
    return decisions.bind(ObjectiveSettings(), (Task("one", ("low", "middle", "high")),))["one"]


OUTPUTS = np.asarray([[0, 0, 1], [2, 0, 0]], np.float32)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            "shares",
            r"gives float64 \(2,\) for probabilities \(2, 3\): it has to give one whole number of 0 ... 2 an ex",
        ),
        ("one", r"gives int64 \(\) for probabilities \(2, 3\): it has to give one whole number of 0 ... 2 an example"),
        ("beyond", r"gives int64 \(2,\) for probabilities \(2, 3\): it has to give one whole number of 0 ... 2 an exa"),
        ("below", r"gives int64 \(2,\) for probabilities \(2, 3\): it has to give one whole number of 0 ... 2 an exam"),
        ("breaks", "raised: ValueError: no idea"),
    ],
)
def test_a_rule_of_ones_own_gives_a_grade_an_example_or_is_refused(tmp_path, bound, rule, message):
    (tmp_path / "rules.py").write_text(RULES)
    assert decisions.decide(bound, f"{tmp_path}/rules.py:best", OUTPUTS).grades.tolist() == [2, 0]
    with pytest.raises(UserError, match=rf"^objective.rule {tmp_path}/rules.py:{rule} {message}"):
        decisions.decide(bound, f"{tmp_path}/rules.py:{rule}", OUTPUTS)


def test_a_loss_or_its_options_that_cannot_be_are_refused_before_any_data_is_open():
    for settings, message in (
        (ObjectiveSettings(options={"sharpness": 2}), "^objective.options has no sharpness"),
        (ObjectiveSettings("korn"), "^objective is 'korn'"),
        (ObjectiveSettings(rule="mod"), "^objective.rule is 'mod'"),
    ):
        with pytest.raises(UsageError, match=message):
            decisions.validate(settings)


def test_class_weights_are_undone_where_that_is_said_and_there_are_some():
    material = Material(Rows(), (Task("one", ("low", "middle", "high")),), {"train": np.arange(6)}, {}, ())
    undo, leave = ObjectiveSettings(correct_weights=True), ObjectiveSettings()
    weights = inverse_frequency(LABELS[:6], 3).tolist()
    assert decisions.undone(undo, "inverse_frequency", material) == {"one": weights}
    assert decisions.undone(undo, "none", material) == decisions.undone(leave, "inverse_frequency", material) == {}


def test_shares_are_inverted_as_printed_and_a_decision_is_adjusted_by_them():
    task = Task("one", ("low", "middle", "high"))
    material = Material(Rows(), (task,), {"train": np.arange(6)}, {}, ())
    known = LABELS[:6][LABELS[:6] >= 0]
    shares = np.bincount(known, minlength=3) / len(known)
    assert shares.all()
    np.testing.assert_allclose(decisions.class_weights("inverse_share", material, task), 1 / shares, rtol=1e-6)
    adjust, both = (ObjectiveSettings(correct_weights=correct, adjust_decision=2.0) for correct in (False, True))
    np.testing.assert_allclose(decisions.undone(adjust, "none", material)["one"], shares**2, rtol=1e-6)
    np.testing.assert_allclose(decisions.undone(both, "inverse_share", material)["one"], shares, rtol=1e-6)
    q = np.asarray([[0.5, 0.3, 0.2]])
    bound = decisions.corrected(decisions.bind(adjust, (task,)), decisions.undone(adjust, "none", material))
    decided = np.exp(bound["one"].log_probs(np.log(q).astype(np.float32)))
    np.testing.assert_allclose(decided, q / shares**2 / np.sum(q / shares**2), rtol=1e-5)
    trains = decisions.adjusted(decisions.bind(adjust, (task,)), ObjectiveSettings(adjust_loss=0.5), material)
    np.testing.assert_allclose(trains["one"].shift, np.log(shares) / 2, rtol=1e-6)


def test_an_adjustment_needs_every_grade_in_training():
    material = Material(Rows(), (Task("one", ("low", "middle", "high", "highest")),), {"train": np.arange(6)}, {}, ())
    message = r"need every grade in the training set, and task one has no highest"
    decides, trains = ObjectiveSettings(adjust_decision=1.0), ObjectiveSettings(adjust_loss=1.0)
    with pytest.raises(UsageError, match=message):
        decisions.check_correction(decides, "none", material)
    bound = decisions.bind(trains, material.tasks)
    with pytest.raises(UsageError, match=message):
        decisions.adjusted(bound, trains, material)


def test_outputs_without_a_logit_for_every_grade_are_not_adjusted():
    material = Material(Rows(), (Task("one", ("low", "middle", "high")),), {"train": np.arange(6)}, {}, ())
    corn = ObjectiveSettings("corn", adjust_loss=1.0)
    bound = decisions.bind(corn, material.tasks)
    with pytest.raises(UsageError, match=r"objective.adjust_loss: corn has no logit for every grade"):
        decisions.adjusted(bound, corn, material)


def test_outputs_that_are_not_finite_and_a_measure_that_raises_are_told(bound):
    def raw(outputs):
        labels = np.asarray([2, 0])
        return cell._Raw(np.asarray(["a", "b"]), {}, {"one": labels}, {"one": np.ones(2)}, {"one": outputs})

    def fails(labels, grades, *, num_classes, probs):
        raise ValueError("no idea")

    task = Task("one", ("low", "middle", "high"))
    with pytest.raises(UserError, match=r"^a-s0: cnn gives outputs that are not finite; lower the learning rate$"):
        cell._results("a-s0: cnn", task, bound, "native", {"test": raw(np.full_like(OUTPUTS, np.nan))}, {})
    with pytest.raises(UsageError, match=r"^the measure mine.py:fails raised: ValueError: no idea$"):
        cell._results("a-s0: cnn", task, bound, "native", {"test": raw(OUTPUTS)}, {"mine.py:fails": fails})


@pytest.mark.parametrize(
    ("network", "platform", "devices", "asked", "expected"),
    [
        ("mlp", "cpu", 1, False, True),
        ("mlp", "gpu", 4, False, True),
        ("lstm", "cpu", 1, False, False),
        ("lstm", "cpu", 1, True, True),
        ("lstm", "gpu", 1, False, True),
        ("lstm", "tpu", 4, False, True),
        ("xception", "gpu", 1, True, False),
    ],
)
def test_seeds_go_side_by_side_where_a_network_alone_does_not_fill_the_device(
    network, platform, devices, asked, expected
):
    session = SimpleNamespace(devices=(SimpleNamespace(platform=platform),) * devices)
    stage = Grader("stage", GraderSettings(network=NetworkSettings(network)))
    assert stage.side_by_side(SimpleNamespace(session=session), asked) is expected
