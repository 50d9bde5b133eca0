"""Comparisons are the multi-reader analysis of the arrays in the files, over the seeds that both finished."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ordinal_blast import record
from ordinal_blast.evaluation import multireader
from ordinal_blast.report import inference, load
from ordinal_blast.report.measures import PRIMARY, SECONDARY
from ordinal_blast.report.rankings import thresholds
from ordinal_blast.storage import digest

ACCURACY, MSE, MAE, QWK = PRIMARY
OF = {measure.key: measure for measure in (*PRIMARY, *SECONDARY)}


def arrays(run, variants, seeds, task="icm"):
    """Labels `[N]`, grades `[V, S, N]`, probs `[V, S, N, K]` and patients `[N]` of the known test examples."""
    files = [[np.load(run / f"cells/{v}-s{s}/predictions.npz") for s in seeds] for v in variants]
    labels = files[0][0][f"labels/rnn/test/{task}"]
    known = labels >= 0
    grades, probs = (
        np.array([[file[f"{what}/rnn/test/{task}"][known] for file in row] for row in files])
        for what in ("grades", "probs")
    )
    return labels[known], grades, probs, np.arange(len(labels))[known] // 2


@pytest.mark.parametrize("key", ["accuracy", "mae", "qwk", "rps", "log_loss", "balanced_accuracy"])
def test_a_difference_is_that_of_the_arrays_in_the_files(small, key):
    study = load(small)
    labels, grades, probs, patients = arrays(small, (0, 1, 2), (0, 1, 2))
    reads = {"probs": probs} if key in ("rps", "log_loss") else {}
    expected = multireader.measure(key, labels, grades, num_classes=3, cases=patients, **reads)
    tested = inference.measured(study.groups()[0], OF[key], study.reference)
    assert list(tested.differences) == list(study.rivals)
    assert expected.units == 30
    assert tested.cases == digest(sorted(f"patient-{i}" for i in range(30)))
    for place, variant in enumerate(study.variants):
        contrasts = [(tested.own[variant], expected.mean(place))]
        contrasts += [(tested.differences[variant], expected.difference(place, 0))] if place else []
        for one, other in contrasts:
            assert (one.basis, one.degenerate) == ("seeds and examples", "")
            np.testing.assert_allclose(
                [one.estimate, one.standard_error, one.df, *one.ci, one.p_value],
                [other.estimate, other.standard_error, other.df, *other.ci, other.p_value],
                rtol=1e-9,
            )


def test_a_variant_that_finished_fewer_seeds_is_compared_over_those(write_run, tmp_path):
    options = {"variants": ("a", "b", "c"), "stages": ("rnn",), "tasks": ("icm",), "n": 60}
    run = write_run(tmp_path / "run", failed=["0-s2"], missing=["2-s0"], **options)  # b shares 0 and 1 with a, c only 1
    tested = inference.measured(load(run).groups()[0], MAE, "a")
    assert {joint.variants: joint.seeds for joint in tested.joints} == {("a", "b"): (0, 1), ("a", "c"): (1,)}
    for variant, seeds, basis in ((1, (0, 1), "seeds and examples"), (2, (1,), "examples")):
        labels, grades, _, patients = arrays(run, (variant, 0), seeds)
        expected = multireader.measure("mae", labels, grades, num_classes=3, cases=patients).difference(0, 1)
        one = tested.differences["abc"[variant]]
        assert one.basis == basis
        assert (one.estimate, one.standard_error) == pytest.approx(
            (expected.estimate, expected.standard_error), rel=1e-9
        )
    assert tested.seeds == {"b": (0, 1), "c": (1,)}
    own, labels_of_all = tested.own["b"], arrays(run, (1,), (0, 1, 2))
    expected = multireader.measure("mae", *labels_of_all[:2], num_classes=3, cases=labels_of_all[3]).mean(0)
    assert (own.estimate, own.standard_error) == pytest.approx((expected.estimate, expected.standard_error), rel=1e-9)


def test_hold_outs_have_the_corrected_t(write_run, measured, tmp_path):
    scored = measured(lambda variant, seed: {"accuracy": 1 - (variant == "b") * (1.0 + seed)})

    def change(kept):
        kept.dataset["sizes"] = {"train": 50, "val": 10, "test": 30}
        scored(kept)

    options = {"variants": ("a", "b"), "stages": ("mlp",), "tasks": ("g",), "n": 30}
    (group,) = load(write_run(tmp_path / "run", resplit=True, change=change, **options)).groups()
    tested = inference.measured(group, ACCURACY, "a")
    one = tested.differences["b"]
    # Differences -1, -2, -3; hold-outs share 60 rows: the variance of the mean is (1/3 + 30/60) s² (Nadeau & Bengio).
    error = (1 / 3 + 30 / 60) ** 0.5
    assert (one.estimate, one.standard_error, one.df) == pytest.approx((-2, error, 2), rel=1e-12)
    assert one.ci == pytest.approx((-2 - 4.302653 * error, -2 + 4.302653 * error), rel=1e-6)
    assert one.p_value == pytest.approx(2 * stats.t.sf(2 / error, 2), rel=1e-9)
    assert (one.basis, tested.reason, tested.joints) == ("hold-outs", "", ())


@pytest.mark.parametrize(
    ("own", "rival", "missing", "why"),
    [
        ((0.8, 0.9, 0.7), (0.7, 0.8, 0.6), [], "constant difference: no test"),
        ((0.9123, 0.6001, 0.7002), (0.9123 + 1e-16, 0.6001, 0.7002), [], "no difference: no interval"),
        ((0.8, 0.9, 0.7), (0.7, 0.8, 0.6), ["1-s1", "1-s2"], inference.ONE_HOLD_OUT),
    ],
)
def test_hold_outs_without_spread_have_no_test(write_run, measured, tmp_path, own, rival, missing, why):
    change = measured(lambda variant, seed: {"accuracy": {"a": own, "b": rival}[variant][seed]})
    options = {"variants": ("a", "b"), "stages": ("mlp",), "tasks": ("g",), "n": 30, "resplit": True}
    (group,) = load(write_run(tmp_path / "run", change=change, missing=missing, **options)).groups()
    one = inference.measured(group, ACCURACY, "a").differences["b"]
    assert one.degenerate == why
    assert np.isnan([*one.ci, one.p_value]).all()


@pytest.mark.parametrize("key", ["mmae", "min_sensitivity", "gmsec", "ece"])
def test_extremes_and_binned_gaps_are_over_seeds_alone_and_say_so(small, key):
    study = load(small)
    (group, _) = study.groups()
    tested = inference.measured(group, OF[key], study.reference)
    assert tested.reason == inference.SEEDS_ALONE
    values = group.rows.pivot(index="seed", columns="variant", values=key)
    for variant, one in tested.differences.items():
        assert one.basis == "seeds"
        if not one.degenerate:
            expected = stats.ttest_rel(values[variant], values[study.reference])
            assert one.p_value == pytest.approx(expected.pvalue, rel=1e-9)
            assert one.ci == pytest.approx(tuple(expected.confidence_interval(0.95)), rel=1e-9)


def test_one_patient_says_nothing_of_others(write_run, tmp_path):
    def change(kept):
        kept.models["rnn"].splits["test"].columns["group"][:] = "one"

    options = {"variants": ("a", "b"), "stages": ("rnn",), "tasks": ("icm",), "n": 40}
    (group,) = load(write_run(tmp_path / "run", change=change, **options)).groups()
    assert inference.measured(group, MAE, "a").reason == inference.ONE_UNIT


def test_areas_are_those_of_the_scores_in_the_files(small):
    study = load(small)
    for k, ranking in enumerate(thresholds(study.groups()[0])):
        results = [
            [record.read(small / f"cells/{v}-s{s}").models["rnn"].splits["test"].tasks["icm"] for s in range(3)]
            for v in range(3)
        ]
        labels = results[0][0].labels
        known = labels >= 0
        scores = np.array([[result.scores[known] for result in row] for row in results], np.float64)
        expected = multireader.auc(labels[known] > k, scores, np.arange(60)[known] // 2)
        tested = inference.ranked(ranking, study.reference)
        for place, variant in enumerate(study.rivals, 1):
            one, other = tested.differences[variant], expected.difference(place, 0)
            numbers = [[c.estimate, c.standard_error, c.df, *c.ci, c.p_value] for c in (one, other)]
            np.testing.assert_allclose(*numbers, rtol=1e-9)
