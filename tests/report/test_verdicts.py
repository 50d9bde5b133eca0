"""Verdicts come from intervals that hold for a whole family, and from nothing else."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ordinal_blast.evaluation import jackknife, multireader, simultaneous
from ordinal_blast.report import inference, load, verdicts
from ordinal_blast.report.measures import PRIMARY, SECONDARY

MAE = PRIMARY[2]
RPS = next(measure for measure in SECONDARY if measure.key == "rps")


@pytest.fixture(scope="module")
def study(small):
    return load(small)


@pytest.mark.parametrize(
    ("low", "high", "higher", "region", "expected"),
    [
        (0.01, 0.2, True, None, "better"),
        (0.01, 0.2, False, None, "worse"),
        (-0.2, -0.01, True, None, "worse"),
        (-0.2, -0.01, False, None, "better"),
        (-0.1, 0.1, True, None, "cannot tell"),
        (-0.1, 0.1, True, 0.05, "cannot tell"),
        (-0.04, 0.04, True, 0.05, "equivalent"),
        (0.01, 0.04, True, 0.05, "equivalent"),  # a difference that does not matter
        (0.0, 0.2, True, None, "cannot tell"),
        (math.nan, math.nan, True, 0.05, "not tested"),
    ],
)
def test_what_an_interval_says(low, high, higher, region, expected):
    assert verdicts.verdict(low, high, higher, region) == expected


def test_the_primary_family_spans_variants_and_tasks_and_other_columns_stand_alone(study):
    frame = study.differences
    sizes = frame.groupby(["measure", "task"], observed=True)["comparisons"].first()
    families = frame.groupby("measure", observed=True)["family"].first()
    assert sizes["mae"].tolist() == [4, 4]  # two rivals, two tasks
    assert sizes["qwk"].tolist() == [2, 2]
    assert sizes["mmae"].tolist() == [0, 0]
    assert families[families == "primary"].index.tolist() == ["mae"]


def test_adjusted_intervals_are_wider_and_decide(study):
    frame = study.differences
    tested = frame[frame["low_adjusted"].notna()]
    assert len(tested) == 2 * 2 * 13
    assert (tested["low_adjusted"] <= tested["low"]).all()
    assert (tested["high_adjusted"] >= tested["high"]).all()
    assert (tested["p_adjusted"] >= tested["p"]).all()
    for row in tested.itertuples():
        assert row.verdict == verdicts.verdict(row.low_adjusted, row.high_adjusted, row.higher_is_better)
    rest = frame[frame["low_adjusted"].isna()]
    assert set(rest["verdict"]) == {"not tested"}
    assert (rest["why"] != "").all()


def test_one_comparison_is_adjusted_for_few_seeds_and_examples_alone(write_run, tmp_path):
    options = {"stages": ("rnn",), "tasks": ("icm",), "n": 60}
    study = load(write_run(tmp_path / "run", ("a", "much longer"), **options))
    rows = study.differences.set_index("measure")
    (group,) = study.groups()
    for measure in PRIMARY:
        contrast = inference.measured(group, measure, "a").differences["much longer"]
        row = rows.loc[measure.key]
        np.testing.assert_allclose(
            row[["low_adjusted", "high_adjusted"]].to_numpy(np.float64), simultaneous.interval(contrast), rtol=1e-12
        )
        assert row["p_adjusted"] == pytest.approx(simultaneous.p_value(contrast), rel=1e-12)
        assert row["p"] == pytest.approx(contrast.p_value, rel=1e-12)


def test_an_own_value_stays_within_what_its_measure_can_be(study):
    rows = study.means.set_index(["task", "measure", "variant"])
    group = study.groups()[0]
    for measure in (*PRIMARY, RPS):
        ends = jackknife.bounds(measure.key, len(group.grades))
        own = inference.measured(group, measure, study.reference).own
        for variant, contrast in own.items():
            row = rows.loc[(group.task, measure.key, variant)]
            assert (row["low"], row["high"]) == pytest.approx(simultaneous.interval(contrast, bounds=ends), rel=1e-12)
            assert ends[0] < row["low"] < row["mean"] < row["high"] < ends[1]


def test_hold_outs_are_adjusted_as_if_independent(write_run, tmp_path):
    options = {"stages": ("mlp",), "tasks": ("g",), "n": 40, "resplit": True, "seeds": range(5)}
    frame = load(write_run(tmp_path / "run", ("a", "bb", "ccc", "dddd"), **options)).differences
    rows = frame[frame["measure"] == "mae"]
    assert set(rows["basis"]) == {"hold-outs"}
    # Šidák: 1 - (1 - p)^3 for three independent normals; the error is that of the draws.
    np.testing.assert_allclose(rows["p_adjusted"], 1 - (1 - rows["p"]) ** 3, atol=0.006)


def test_what_is_the_same_by_construction_is_not_tested_and_does_not_count(write_run, tmp_path):
    def change(kept):
        rng = np.random.default_rng(kept.seed)
        result = kept.models["rnn"].splits["test"].tasks["icm"]
        if kept.variant in "ab":  # one training, two decisions
            probs = rng.dirichlet(np.ones(3), len(result.labels))
            result.probs[:] = probs
            result.grades[:] = probs.argmax(axis=1) if kept.variant == "a" else probs.cumsum(axis=1).argmax(axis=1) * 0

    options = {"stages": ("rnn",), "tasks": ("icm",), "n": 60}
    study = load(write_run(tmp_path / "run", ("a", "b", "c"), change=change, **options))
    rows = study.differences.set_index(["measure", "variant"])
    assert rows.loc[("rps", "b"), ["mean", "verdict", "why"]].tolist() == [0.0, "not tested", multireader.ALIKE]
    assert rows.loc[("rps", "c"), "comparisons"] == 1
    contrast = inference.measured(study.groups()[0], RPS, "a").differences["c"]
    assert rows.loc[("rps", "c"), "p_adjusted"] == pytest.approx(simultaneous.p_value(contrast), rel=1e-12)
    assert rows.loc[("mae", "c"), "comparisons"] == 2


def test_equivalence_is_of_primary_measures_alone(write_run, tmp_path):
    options = {"stages": ("rnn",), "tasks": ("icm",), "n": 60}
    study = load(write_run(tmp_path / "run", ("a", "b"), **options)).asking(equivalence=5.0)
    verdict = study.differences.set_index("measure")["verdict"]
    assert verdict["mae"] == "equivalent"
    assert "equivalent" not in verdict.drop("mae").tolist()


def test_components_and_design_are_those_of_the_comparison(study):
    group = study.groups()[0]
    comparison = inference.measured(group, MAE, study.reference).joints[0].comparison
    row = study.components.query("task == 'icm' and measure == 'mae'").iloc[0]
    of = comparison.components
    assert row[["seed_variance", "variant_seed_variance", "error", "cov1", "cov2", "cov3"]].tolist() == [
        *(of.reader, of.variant_reader, of.error, of.cov1, of.cov2, of.cov3)
    ]
    assert row[["n", "units", "seeds"]].tolist() == [59, 30, 3]
    assert (row["f"], row["p"]) == (comparison.f_statistic, comparison.p_value)
    design = study.design.query("task == 'icm'")
    here = design[design["present"]].iloc[0]
    assert here[["measure", "seeds", "units"]].tolist() == ["mae", 3, 30]
    assert here["detectable"] == pytest.approx(comparison.detectable(level=here["level"]), rel=1e-12)
    assert 0.05 / 4 <= here["level"] < 0.05
    more = design[(design["seeds"] == 50) & (design["units"] == 300)].iloc[0]
    assert more["detectable"] < here["detectable"]


def test_areas_are_one_family_a_question(study):
    frame = study.auc
    assert frame["question"].unique().tolist() == ["ICM > C", "ICM > B", "TE > C", "TE > B"]
    rows = frame[frame["question"] == "ICM > B"]
    assert rows["verdict"].tolist()[0] == ""
    assert rows["why"].tolist()[0] == "the reference"
    assert set(rows["comparisons"]) == {2}
    gap = rows["auc"].iloc[1] - rows["auc"].iloc[0]
    assert rows["mean"].iloc[1] == pytest.approx(gap, rel=1e-9)
    assert ((rows["auc_low"] >= 0) & (rows["auc_low"] < rows["auc"])).all()
    assert (rows["p_adjusted"].iloc[1:] >= rows["p"].iloc[1:]).all()


def test_means_have_their_own_intervals(study):
    frame = study.means.query("task == 'icm' and measure == 'mae'")
    assert frame["variant"].tolist() == list(study.variants)
    scores = study.scores.query("task == 'icm' and split == 'test'").groupby("variant", observed=True)["mae"].mean()
    np.testing.assert_allclose(frame["mean"], scores, rtol=1e-9)


def test_a_difference_lies_within_what_its_measure_allows():
    limits = verdicts.within((-3.0, 2.5, 0.4), (0.0, 2.0))
    assert limits == (-2.0, 2.0, 0.4)
    assert verdicts.within((-3.0, 2.5, 0.4), None) == (-3.0, 2.5, 0.4)
    assert np.isnan(verdicts.within((np.nan, np.nan, np.nan), (0.0, 2.0))).all()
