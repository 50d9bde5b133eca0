"""Frames of what probabilities are worth against the same sums on predictions; what the page shows of them."""

import dataclasses

import numpy as np
import pytest

from ordinal_blast.evaluation import conformal, metrics, reliability, uncertainty
from ordinal_blast.record import Split
from ordinal_blast.report import joining, probabilities, probability_blocks
from ordinal_blast.report.blocks import Details, Gallery, Part, Table
from ordinal_blast.report.pictures import Studio

PROBS = ["p_C", "p_B", "p_A"]


def with_validation(kept):
    """The first third of the training examples as validation examples, and a clinic for those of the test."""
    for model in kept.models.values():
        train, test = model.splits["train"], model.splits["test"]
        part = slice(len(train.ids) // 3)
        arrays = ("labels", "weights", "outputs", "probs", "grades", "scores")
        tasks = {
            name: dataclasses.replace(result, **{field: getattr(result, field)[part] for field in arrays})
            for name, result in train.tasks.items()
        }
        columns = {name: column[part] for name, column in train.columns.items()}
        model.splits["val"] = Split("val", train.ids[part], columns, tasks)
        test.columns["clinic"] = np.array(["north", "south"])[np.arange(len(test.ids)) % 2]


@pytest.fixture(scope="module")
def study(tmp_path_factory, write_run):
    path = tmp_path_factory.mktemp("probabilities")
    drawn = {"stages": ("rnn",), "tasks": ("icm",), "n": 80}
    return joining.load(write_run(path, ("cross_entropy", "coral"), seeds=(3, 5), change=with_validation, **drawn))


def said(study, variant, seed, split="test"):
    """Labels, probabilities, grades and patients of the examples with a label."""
    frame = study.predictions(variant=variant, seed=seed, task="icm", split=split)
    frame = frame[frame["label"] >= 0]
    return (
        frame["label"].to_numpy(),
        frame[PROBS].to_numpy(),
        frame["grade"].to_numpy(),
        frame["group"].to_numpy().astype(str),
    )


def test_calibration_is_that_of_every_model(study):
    frame = study.calibration.set_index(["variant", "model"])
    assert frame.index.tolist() == [(v, m) for v in ("cross_entropy", "coral") for m in ("3", "5", "ensemble")]
    for variant, seed in (("cross_entropy", 3), ("coral", 5)):
        labels, probs, grades, patients = said(study, variant, seed)
        row, parts = frame.loc[variant, str(seed)], reliability.brier_parts(labels, probs, 3)
        expected = metrics.summary(labels, grades, 3, probs) | dataclasses.asdict(parts) | {"n": 78}
        expected |= {"brier": parts.score, "sharpness": (probs**2).sum(axis=1).mean()}
        expected |= {"expected_rps": uncertainty.ordinal(probs, 3).mean()}
        expected |= {"ece_debiased": reliability.debiased_ece(labels, probs, 3)}
        expected |= {"squared_gap": reliability.squared_gap(labels, probs, 3)}
        expected |= {"p": reliability.assess(labels, probs, 3, clusters=patients, draws=500).p_value}
        del expected["score"]
        assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-9, nan_ok=True)
        assert row["brier"] == pytest.approx(row["miscalibration"] - row["discrimination"] + row["uncertainty"])


def test_an_ensemble_has_the_mean_probabilities_and_a_row_of_its_own(study):
    for variant, rule in (("cross_entropy", "mode"), ("coral", "mode")):
        labels, first, _, _ = said(study, variant, 3)
        mean = (first + said(study, variant, 5)[1]) / 2
        row = study.calibration.set_index(["variant", "model"]).loc[variant, "ensemble"]
        expected = metrics.summary(labels, mean.argmax(axis=1), 3, mean)
        assert row["rule"] == rule
        assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-9)


def test_an_ensemble_decides_as_its_variant_does(write_run, tmp_path):
    def by_median(kept):
        kept.objective["decides_by"] = "median (fitted cut points)"

    drawn = {"stages": ("rnn",), "tasks": ("icm",), "n": 80}
    study = joining.load(write_run(tmp_path, ("cross_entropy",), seeds=(3, 5), change=by_median, **drawn))
    labels, first, _, _ = said(study, "cross_entropy", 3)
    mean = (first + said(study, "cross_entropy", 5)[1]) / 2
    row = study.calibration.iloc[-1]
    assert (row["model"], row["rule"]) == ("ensemble", "median")
    assert row["mae"] == pytest.approx(np.abs((np.cumsum(mean, axis=1) < 0.5).sum(axis=1) - labels).mean(), rel=1e-12)


def test_curves_and_bands_are_means_over_models(study):
    frame, names = study.reliability, ["ICM > C", "ICM > B", "most probable grade"]
    assert list(frame["threshold"].unique()) == names
    curves = []
    for seed in (3, 5):
        labels, probs, _, patients = said(study, "coral", seed)
        curves.append(reliability.assess(labels, probs, 3, clusters=patients, draws=500))
    for target, name in enumerate(names):
        rows = frame[(frame["variant"] == "coral") & (frame["threshold"] == name)]
        for field in ("predicted", "observed", "low", "high"):
            expected = np.mean([getattr(curve, field)[target] for curve in curves], axis=0)
            np.testing.assert_allclose(rows[field], expected, rtol=1e-9, atol=1e-12)
    assert (frame["low"] <= frame["predicted"]).all()
    assert (frame["predicted"] <= frame["high"]).all()


@pytest.mark.parametrize("method", conformal.METHODS)
def test_sets_are_calibrated_on_validation_and_counted_on_test_examples(study, method):
    shares, sizes = [], []
    for seed in (3, 5):
        known, known_probs, _, _ = said(study, "coral", seed, "val")
        labels, probs, _, _ = said(study, "coral", seed)
        fitted = conformal.calibrate(known, known_probs, 3, method, 0.9).sets(probs)
        held = fitted.hold(labels)
        north = np.arange(80)[np.arange(80) % 40 != 39] % 2 == 0
        shares.append([held.mean(), *(held[labels == k].mean() for k in range(3)), held[north].mean()])
        sizes.append([fitted.sizes.mean(), (fitted.sizes == 1).mean()])
    frame = study.sets
    rows = frame[(frame["variant"] == "coral") & (frame["method"] == method)].set_index(["by", "value"])
    places = [("", ""), ("grade", "C"), ("grade", "B"), ("grade", "A"), ("clinic", "north")]
    assert rows.index.tolist() == [*places, ("clinic", "south")]
    np.testing.assert_allclose(rows.loc[places, "coverage"], np.mean(shares, axis=0), rtol=1e-12)
    np.testing.assert_allclose(
        rows.loc[("", ""), ["size", "singles"]].astype(float), np.mean(sizes, axis=0), rtol=1e-12
    )
    assert rows[["calibration", "level", "seeds"]].drop_duplicates().to_numpy().tolist() == [[78, 0.9, 2]]


def test_risk_by_coverage_and_the_split_of_an_ensemble(study):
    models = [said(study, "coral", seed) for seed in (3, 5)]
    curves = [
        uncertainty.risk_coverage(np.abs(labels - grades), uncertainty.ordinal(probs, 3))
        for labels, probs, grades, _ in models
    ]
    frame = study.uncertainty
    rows = frame[(frame["variant"] == "coral") & (frame["by"] == "ordinal")].set_index("quantity")["value"]
    assert rows["mae area"] == pytest.approx(np.mean([curve.area for curve in curves]), rel=1e-12)
    assert rows["mae"].iloc[-1] == pytest.approx(np.mean([np.abs(y - g).mean() for y, _, g, _ in models]), rel=1e-12)
    parts = uncertainty.split(np.stack([probs for _, probs, _, _ in models]), 3)
    assert rows["epistemic"] == pytest.approx(parts.epistemic.mean(), rel=1e-9)
    assert rows["total"] == pytest.approx(rows["aleatoric"] + rows["epistemic"], rel=1e-12)


def test_hold_outs_have_no_ensemble_and_their_means_rest_on_every_one(write_run, tmp_path):
    drawn = {"stages": ("rnn",), "tasks": ("icm",), "n": 40, "resplit": True}
    study = joining.load(write_run(tmp_path, ("cross_entropy", "coral"), seeds=(0, 1), **drawn))
    assert study.calibration["model"].tolist() == ["0", "1", "0", "1"]
    assert "total" not in set(study.uncertainty["quantity"])
    assert study.sets.empty
    (part,) = probability_blocks.blocks(study, study.groups()[0], Studio("k", study))
    assert [type(block) for block in part.blocks[-1].blocks] == [Gallery, Gallery]


def test_the_page_shows_calibration_first_and_folds_the_rest(study):
    (part,) = probability_blocks.blocks(study, study.groups()[0], Studio("k", study))
    assert isinstance(part, Part)
    table, columns, folded = part.blocks
    assert isinstance(folded, Details)
    means = study.calibration[study.calibration["model"] != probabilities.ENSEMBLE]
    means = means.groupby("variant", observed=True).mean(numeric_only=True)
    for line in table.lines:
        mean = means.loc[line.head]
        shown = [
            f"{mean[name]:.3f}" for name in ("ece", "brier", "miscalibration", "discrimination", "sharpness", "rps")
        ]
        assert [line.entries[i].text for i in (0, 2, 3, 4, 5, 6)] == shown
        assert line.entries[1].text.endswith("of 2")
    assert "40 patients or treatments taken as independent" in columns.blocks[0].text
    curves, sets, promise, ensembles, risk = folded.blocks
    assert isinstance(sets, Table)
    assert isinstance(ensembles, Table)
    whole = study.sets[study.sets["by"] == ""].set_index(["variant", "method"])
    assert sets.lines[1].entries[0].text == f"{whole.loc[('coral', 'interval'), 'coverage']:.0%}"
    assert "“B or A, 90 %”" in sets.caption
    assert "which also chose the epoch" in promise.text
    for gallery in (curves, risk):
        assert all(len(picture.content) < 15_000 for picture in gallery.pictures)
    assert "AURC" in risk.caption
