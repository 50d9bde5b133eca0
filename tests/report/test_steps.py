"""The last stage against an earlier one, against accuracies and standard errors written out."""

import dataclasses

import numpy as np
import pytest

from ordinal_blast.report import load
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.step_blocks import sections


def test_steps_are_differences_of_the_same_seed_and_examples(embryos):
    study = load(embryos)
    steps = study.steps
    assert len(steps) == 2 * 2 * 4
    assert set(steps["comparisons"]) == {16}
    row = steps.query("variant == 'cross_entropy' and task == 'te' and measure == 'accuracy'").iloc[0]
    right, patients = [], None
    for cell in (cell for cell in study.cells if cell.variant == "cross_entropy"):
        tasks = [cell.tested(stage).tasks["te"] for stage in ("rnn", "cnn")]
        known = tasks[0].labels >= 0
        patients = cell.tested("rnn").columns["group"][known]
        right.append([(task.grades == task.labels)[known].astype(float) for task in tasks])
    gaps = np.array([one - other for one, other in right])  # [seeds, examples]
    means = gaps.mean(axis=1)
    assert row["mean"] == pytest.approx(means.mean(), rel=1e-9)
    names, units = np.unique(patients, return_inverse=True)
    count, n = len(names), gaps.shape[1]
    without = np.array([(g.sum() - np.bincount(units, g)) / (n - np.bincount(units)) for g in gaps])
    over_units = (count - 1) ** 2 / count * np.cov(without)
    # Two seeds: the variance between them, and what they share over patients.
    variance = means.var(ddof=1) / 2 + max(over_units[0, 1], 0)
    assert row["standard_error"] == pytest.approx(np.sqrt(variance), rel=1e-9)
    assert (row["n"], row["units"], row["seeds"]) == (n, count, 2)
    assert row["stage_mean"] - row["earlier_mean"] == pytest.approx(row["mean"], rel=1e-9)


def test_a_family_of_steps_is_wider_than_one_alone(embryos):
    steps = load(embryos).steps
    tested = steps[steps["why"] == ""]
    assert (tested["p_adjusted"] >= tested["p"]).all()
    better = (tested["low_adjusted"] > 0) & tested["higher_is_better"] | (tested["high_adjusted"] < 0) & ~tested[
        "higher_is_better"
    ]
    assert (better == (tested["verdict"] == "better")).all()


def test_one_stage_has_no_steps(small):
    study = load(small)
    assert study.steps.empty
    assert sections(study, Studio("key", study)) == []


def test_stages_on_other_examples_are_not_compared(write_run, tmp_path):
    def change(kept):
        test = kept.models["cnn"].splits["test"]
        kept.models["cnn"].splits["test"] = dataclasses.replace(test, ids=np.char.add(test.ids, "x"))

    assert load(write_run(tmp_path, ("a", "b"), (0, 1), n=40, change=change)).steps.empty


def test_a_seed_that_a_variant_lacks_is_not_in_its_steps(write_run, tmp_path):
    study = load(write_run(tmp_path, ("a", "b"), (0, 1, 2), n=60, missing=("1-s2",)))
    assert study.steps.groupby("variant", observed=True)["seeds"].unique().map(list).to_dict() == {"a": [3], "b": [2]}
    (section,) = sections(study, Studio("key", study))
    assert section.title == "RNN against the stages before it"
    assert [len(table.lines) for table in section.blocks[1:]] == [2, 2]


def test_a_stage_that_the_first_variant_lacks_comes_before_the_last(write_run, tmp_path):
    def change(kept):
        return dataclasses.replace(kept, models={"rnn": kept.models["rnn"]}) if kept.variant == "a" else kept

    study = load(write_run(tmp_path, ("a", "b"), (0, 1), n=60, change=change))
    assert study.stages == ("cnn", "rnn")
    assert set(study.steps["variant"]) == {"b"}
    assert set(study.steps["stage"]) == {"rnn"}
