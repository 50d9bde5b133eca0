"""Variants of the ablations on a few simulated wells, end to end: what they change, and what they leave alone."""

from pathlib import Path

import numpy as np
import pytest

from ordinal_blast import record, settings
from ordinal_blast.data import material
from ordinal_blast.evaluation import metrics
from ordinal_blast.study import grading, runner, session
from ordinal_blast.study import plan as plans

pytestmark = pytest.mark.usefixtures("compile_quickly")  # tests/training checks the optimised code
SHORT = {"chain": ("cropper", "crops", "cnn")}
RUN = {
    "sequence": ("LSTM", "LSTM, reversed", "attention over frames", "CNN and LSTM together"),
    "cropper": ("crop by the true mask", "cropper by cross-entropy"),
    "outcome": ("grades and outcome", "outcome"),
    "clinics": ("without clinic-0",),
    "imbalance": ("nothing", "class weights over examples", "logit-adjusted loss", "logit-adjusted decision"),
    "augmentation": ("time, at tMEB",),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory, whole):
    changes = whole | {
        "data.cache": str(tmp_path_factory.mktemp("cache")),
        "data.options.embryos": 80,
        "data.options.hours": (98.0, 104.0, 110.5, 112.0, 118.0),
        "data.options.empty_share": 0.1,
        "report.examples": 0,
    }
    return settings.load("tests/embryo/recorded_config.py", changes)


@pytest.fixture(scope="module")
def cells(tmp_path_factory, base):
    """The folders of the cells, by the name of their variant."""
    root, variants = tmp_path_factory.mktemp("ablated"), []
    for name, chosen in RUN.items():
        planned = plans.ablation(name, base, 1)
        of_name = {one.variant: one.settings for one in planned.cells}
        for variant in chosen:
            short = {} if name == "sequence" else SHORT
            stated = settings.tree(settings.override(of_name[variant], short))
            variants.append((variant, {key: value for key, value in stated.items() if key not in ("seed", "name")}))
    variants = [
        (
            name,
            {
                key: value
                for key, value in changes.items()
                if not key.startswith(("seed_", "devices", "stack", "track"))
            },
        )
        for name, changes in variants
    ]
    plan = plans.of_variants("A question?", variants, base, 1)
    assert runner.run(plan, root, "the command", session.begin(1)) == []
    return {one.variant: root / "cells" / one.name for one in plan.cells}


def result_of(cells, variant, task):
    return record.read(cells[variant]).models["cnn"].splits["test"].tasks[task]


def test_every_variant_is_tested_on_the_same_examples(cells):
    ids = [
        record.read(folder).models[stage].splits["test"].ids
        for folder in cells.values()
        for stage in record.read(folder).models
    ]
    assert all(np.array_equal(one, ids[0]) for one in ids)


def test_a_reversed_sequence_has_the_same_frames_last_first(cells):
    forth, back = (
        np.load(
            cells[name].parents[1] / "stages" / record.read(cells[name]).stages["sequences"]["folder"] / "sequences.npy"
        )
        for name in ("LSTM", "LSTM, reversed")
    )
    for one, other in zip(forth, back, strict=True):
        length = int((one != 0).any(-1).sum())
        np.testing.assert_array_equal(one[:length], other[:length][::-1])
        np.testing.assert_array_equal(other[length:], 0)


def test_the_joint_network_grades_new_recordings_as_its_run_graded_them(cells, base, tmp_path):
    folder, dataset = cells["CNN and LSTM together"], material.open(base.data).dataset
    kept = record.read(folder)
    assert list(kept.models) == ["rnn"]
    test = kept.models["rnn"].splits["test"]
    for name in test.ids[:3]:
        row = int(np.flatnonzero(dataset.columns["id"] == name)[0])
        arrays = {column: np.asarray(dataset.columns[column][[row]])[0] for column in ("frames", "hpi")}
        np.savez(tmp_path / f"{name}.npz", **arrays, planes=dataset.extras["planes"])
    graded = [
        line for line in grading.grade(folder, [tmp_path], trust=Path(__file__).parents[2]) if line["task"] == "icm"
    ]
    by_name = dict(zip(test.ids, test.tasks["icm"].probs, strict=True))
    for line in graded:
        np.testing.assert_allclose(list(line["probs"].values()), by_name[Path(line["input"]).stem], atol=2e-6)


def test_an_outcome_is_graded_where_it_is_known(cells):
    both, alone = (result_of(cells, name, "fetal_heartbeat") for name in ("grades and outcome", "outcome"))
    assert both.task.grades == ("none", "heartbeat")
    np.testing.assert_array_equal(both.labels, alone.labels)
    columns = record.read(cells["outcome"]).models["cnn"].splits["test"].columns
    np.testing.assert_array_equal(both.labels, columns["fetal_heartbeat"])
    known = alone.labels >= 0
    assert 0 < known.sum() < len(known)
    assert alone.measures["accuracy"] == metrics.accuracy(alone.labels[known], alone.grades[known], 2)
    sizes = record.read(cells["outcome"]).dataset["sizes"]
    assert sizes["train"] < record.read(cells["grades and outcome"]).dataset["sizes"]["train"]
    assert list(record.read(cells["outcome"]).models["cnn"].splits["test"].tasks) == ["fetal_heartbeat"]


def test_a_clinic_that_is_held_out_is_tested_and_not_trained_on(cells):
    splits = record.read(cells["without clinic-0"]).models["cnn"].splits
    assert all(len(splits[name].ids) and "clinic-0" not in splits[name].columns["clinic"] for name in ("train", "val"))
    assert set(splits["test"].columns["clinic"]) > {"clinic-0"}
    assert record.read(cells["without clinic-0"]).dataset["split"].endswith("; trained without clinic=clinic-0")


def test_an_adjusted_decision_shares_the_training_and_divides_by_the_shares(cells):
    plain, adjusted = (record.read(cells[name]) for name in ("nothing", "logit-adjusted decision"))
    assert adjusted.models["cnn"].training["shared_with"] == plain.cell
    train = plain.models["cnn"].splits["train"].tasks["icm"].labels
    shares = np.bincount(train, minlength=3) / len(train)
    before, after = (result_of(cells, name, "icm").probs for name in ("nothing", "logit-adjusted decision"))
    expected = before / shares / (before / shares).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(after, expected, rtol=1e-5)


@pytest.mark.parametrize("variant", ["class weights over examples", "logit-adjusted loss"])
def test_what_changes_the_loss_changes_the_training_and_its_loss(cells, variant):
    plain, other = (record.read(cells[name]).models["cnn"].training for name in ("nothing", variant))
    assert "shared_with" not in other
    assert abs(plain["history"][0]["train_loss"] - other["history"][0]["train_loss"]) > 1e-3


def test_windows_by_true_masks_leave_the_hours_that_are_looked_at_alone(cells):
    def crops_of(name):
        kept = record.read(cells[name])
        folder = cells[name].parents[1] / "stages" / kept.stages["crops"]["folder"]
        return np.load(folder / "00000.npz")["areas"], (folder / "00000.array_record").read_bytes()

    (areas, seen), (same, masked) = (crops_of(name) for name in ("LSTM", "crop by the true mask"))
    np.testing.assert_array_equal(areas, same)
    assert seen != masked
    assert crops_of("time, at tMEB")[0].shape[1] == 3 + 3
