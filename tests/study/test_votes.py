"""Learning from votes: what is taught in place of labels, refusals, and studies of arrays end to end."""

from types import SimpleNamespace

import numpy as np
import pytest

from ordinal_blast import record, settings
from ordinal_blast.data.batches import Examples, fixed
from ordinal_blast.data.material import Material
from ordinal_blast.errors import UsageError
from ordinal_blast.evaluation import rater_model
from ordinal_blast.settings import ObjectiveSettings
from ordinal_blast.study import decisions, runner, session, votes
from ordinal_blast.study import plan as plans
from ordinal_blast.study.recipe import Goal, Work
from ordinal_blast.types import Task

pytestmark = pytest.mark.usefixtures("compile_quickly")  # tests/training checks the optimised code
GRADES = ("C", "B", "A")
LABELS = np.asarray([0, 1, 2, -1, 2, 0, 1])
VOTES = np.asarray([[0, 1, 1], [1, -1, 2], [2, 2, 0], [-1, -1, -1], [-1, -1, -1], [0, 0, 0], [1, 2, 0]])


def work(kind, objective="cross_entropy", weights="none", column=VOTES):
    task = Task("icm", GRADES)
    columns = {"label/icm": LABELS, "rater_icm": column}
    dataset = SimpleNamespace(columns={key: value for key, value in columns.items() if value is not None}, name="eyes")
    material = Material(dataset, (task,), {"train": np.arange(5), "val": np.arange(5, 7)}, {}, ())
    chosen = ObjectiveSettings(objective)
    return Work(material, Goal(chosen, weights, 0, learns_from=kind), decisions.bind(chosen, (task,)), None)


def examples():
    rows = {"train": np.arange(5), "val": np.arange(5, 7)}
    return {
        split: Examples(
            rows[split].astype(str), fixed(None), {"icm": LABELS[rows[split]]}, {"icm": np.ones(len(rows[split]))}
        )
        for split in rows
    }


def test_labels_are_learnt_as_they_are_unless_something_else_is_said():
    plain = examples()
    assert votes.taught(plain, work("labels")) is plain


def test_a_majority_is_a_label_and_its_ties_go_to_the_middle_of_the_votes():
    taught = votes.taught(examples(), work("majority"))
    # 1 of 0 1 1; of 1 and 2 the lower one, as both are as near to their middle; no vote and no label; no vote.
    assert taught["train"].labels["icm"].tolist() == [1, 1, 2, -1, 2]
    assert taught["train"].weights["icm"].tolist() == [1, 1, 1, 0, 1]
    assert taught["val"].labels["icm"].tolist() == [0, 1]


def test_a_distribution_has_the_shares_of_the_votes_and_weighs_what_its_grades_weigh():
    taught = votes.taught(examples(), work("distribution", weights="inverse_share"))
    expected = np.asarray([[1, 2, 0], [0, 1.5, 1.5], [1, 0, 2], [0, 0, 0], [0, 0, 3]]) / 3
    np.testing.assert_allclose(taught["train"].labels["icm"], expected, rtol=1e-6)
    by_grade = 4 / np.asarray([1, 1, 2])  # of the four training labels
    np.testing.assert_allclose(taught["train"].weights["icm"], expected @ by_grade, rtol=1e-6)
    np.testing.assert_allclose(taught["val"].labels["icm"], [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]], rtol=1e-6)


def test_a_model_of_raters_is_fitted_to_the_training_set_alone():
    taught = votes.taught(examples(), work("raters"))
    model = rater_model.fit(VOTES[:5], 3)
    np.testing.assert_allclose(taught["val"].labels["icm"], model.grades(VOTES[5:]), rtol=1e-6)
    np.testing.assert_array_equal(taught["train"].labels["icm"][3:], [[0, 0, 0], [0, 0, 1]])


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (
            "majority",
            {"column": None},
            r"no training example of eyes has grades of icm by several raters \(a column rat",
        ),
        ("raters", {"column": np.where(np.arange(3) < 1, VOTES, -1)}, "no training example of eyes has grades of icm"),
        ("distribution", {"objective": "co2"}, "learns_from is distribution, and co2 takes grades alone"),
    ],
)
def test_what_cannot_be_learnt_is_one_line(kind, changes, message):
    with pytest.raises(UsageError, match=message):
        votes.check(work(kind, **changes))
    votes.check(work("labels", **changes))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The root of a finished run of `ablations/labels.py` on numbers that five raters graded, one of them backwards."""
    folder, rng = tmp_path_factory.mktemp("votes"), np.random.default_rng(0)
    x = rng.normal(size=(150, 2)).astype(np.float32)
    quality = 1.5 * x[:, 0]
    seen = quality[:, None] + np.asarray([0, 0.5, -0.5, 0.2, -0.2]) + rng.normal(0, 0.5, (150, 5))
    graded = np.digitize(seen, [-0.7, 0.7])
    graded[rng.random(graded.shape) < 0.2] = -1
    y = np.digitize(quality + rng.normal(0, 1, 150), [-0.7, 0.7])
    split = np.repeat(["train", "val", "test"], 50)
    np.savez(folder / "rows.npz", x=x, y_icm=y, rater_icm=graded, split=split)
    changes = {
        "data.source": "arrays",
        "data.root": str(folder / "rows.npz"),
        "data.cache": str(folder / "cache"),
        "data.options": {"grades": GRADES},
        "seed_also_sets": (),
        "name": "votes",
        "tasks": ("icm",),
        "devices": 1,
        "report.published": {},
        "mlp.network.options.widths": (4,),
        "mlp.training.epochs": 2,
        "mlp.training.batch_size": 16,
        "mlp.training.select": "val_qwk",
    }
    planned = plans.ablation("labels", settings.load("configs/era.py", changes), 1)
    assert runner.run(planned, folder / "run", "the command", session.begin(1)) == []
    return folder / "run", y


def test_every_kind_is_trained_and_measured_against_the_labels(study):
    root, y = study
    losses = set()
    for cell in ("single_labels-s0", "majority_votes-s0", "distribution_of_votes-s0", "a_model_of_the_raters-s0"):
        kept = record.read(root / "cells" / cell).models["mlp"]
        for split, rows in {"train": slice(0, 50), "test": slice(100, 150)}.items():
            np.testing.assert_array_equal(kept.splits[split].tasks["icm"].labels, y[rows])
        losses.add(round(kept.training["history"][0]["val_loss"], 6))
    assert len(losses) == 4
