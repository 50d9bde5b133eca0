"""The measurement of verdicts: what it counts, that it goes on where it was stopped, and that it repeats itself."""

import csv
import dataclasses
import json
import math

import numpy as np
import pytest

from ordinal_blast.evaluation import multireader, single_models, validity, validity_report
from ordinal_blast.evaluation.simulation import BETTER_ONE, Scenario, draw, truths

FEW = (
    *(one for one in validity.GRID if one.grades == 3 and not one.patients),
    Scenario(400, 5, "unequal", False, 3),
)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(validity, "CHUNK", 2)
    monkeypatch.setattr(validity, "SCENARIOS", FEW)
    monkeypatch.setattr(single_models, "RESAMPLES", 50)


def test_it_goes_on_where_it_was_stopped_and_repeats_itself(small, tmp_path, capsys):
    folders = [["--out", str(tmp_path / name), "--work", str(tmp_path / f"{name}-work")] for name in "ab"]
    validity.main([*folders[0], "--studies", "2"])
    said = capsys.readouterr().err.splitlines()
    assert len(said) == len(FEW)
    assert said[0].startswith(f"1 of {len(FEW)}: ")
    log = tmp_path / "b-work" / "chunks.jsonl"
    log.parent.mkdir()
    lines = (tmp_path / "a-work" / "chunks.jsonl").read_text().splitlines(keepends=True)
    log.write_text("".join(lines[3:]) + lines[0][:40])  # cut off in the middle of a line
    validity.main([*folders[1], "--studies", "2"])
    assert len(capsys.readouterr().err.splitlines()) == 3
    for name in ("report.md", "validity.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert sorted(map(json.dumps, map(json.loads, log.read_text().splitlines()))) == sorted(
        map(json.dumps, map(json.loads, lines))
    )
    rows = list(csv.DictReader((tmp_path / "a" / "validity.csv").read_text().splitlines()))
    assert len(rows) == 5 * len(FEW)
    assert {row["studies"] for row in rows} == {"2"}
    report = (tmp_path / "a" / "report.md").read_text()
    assert validity_report.COMMAND in report
    assert "nan" not in report


def test_a_share_is_that_of_studies_where_the_claim_is_wrong():
    scenario = FEW[4]
    truth, drawn = truths(scenario), draw(scenario, np.random.default_rng(0))
    asked = {}
    for measure, question, share in validity.of_study(drawn, truth, 3):
        asked.setdefault(measure, {})[question] = share
    whole = multireader.measure("mae", drawn.labels, drawn.grades, num_classes=3)
    equals = [whole.difference(v, 0) for v in range(1, BETTER_ONE)]
    assert asked["mae"]["difference, Satterthwaite"] == np.mean([one.p_value < 0.05 for one in equals])
    low, high = whole.difference(BETTER_ONE, 0).ci
    gap = truth["mae"][BETTER_ONE] - truth["mae"][0]
    assert asked["mae"]["true difference, Satterthwaite"] == (not low < gap < high)
    covered = [whole.mean(v).ci[0] < truth["mae"][v] < whole.mean(v).ci[1] for v in (0, 1)]
    assert asked["mae"]["own value, Satterthwaite"] == 1 - np.mean(covered)
    assert asked["mae"]["seeds alone"] == np.mean(
        [whole.difference(v, 0, "seeds").p_value < 0.05 for v in (1, 2, 3, 4)]
    )
    gaps = (whole.values[0] - whole.values[1]).var(ddof=1)
    assert asked["mae"]["variance over seeds"] == pytest.approx(gaps, rel=1e-9)
    parts = equals[0].parts
    assert asked["mae"]["variance over examples"] == pytest.approx(parts[1][0], rel=1e-9)
    assert set(asked) == {"qwk", "mae", "accuracy", "auc", "qwk and mae"}


def test_what_is_wrong_by_far_is_counted():
    scenario = FEW[4]
    truth, drawn = truths(scenario), draw(scenario, np.random.default_rng(0))
    lies = {name: values + np.where(np.arange(6) == 0, 0.5, 0.0) for name, values in truth.items()}
    asked = {(measure, question): share for measure, question, share in validity.of_study(drawn, lies, 3)}
    for question in ("difference", "family", "true difference", "seeds alone", "some difference"):
        assert asked["qwk", question] == 1
    assert asked["qwk", "own value"] == 0.5
    assert asked["qwk and mae", "family"] == 1


def test_rates_of_models_that_are_trained_once_are_those_of_their_intervals():
    rates = single_models.measure(40)
    assert rates["two data sets, 3 equal methods: do they differ?"] == {
        "Friedman’s F": pytest.approx(1 / 6),
        "permutations of ranks": 0,
    }
    (wald, logit) = rates["AUC of .95, 30 examples: what is its own value?"].values()
    assert wald > logit
    assert math.isnan(rates["mmae, 50 examples: what is its own value?"]["bootstrap of examples"])


def test_what_falls_short_is_listed():
    good = dict.fromkeys(("difference", "family", "true difference", "own value"), 0.05)
    scenario = Scenario(100, 3, "high", False, 3)
    row = validity_report.Row(scenario, "qwk", good, grid=True)
    bad = dataclasses.replace(row, rates=good | {"family": 0.09, "true difference": 0.075})
    cautious = dataclasses.replace(row, measure="auc", rates=good | {"difference": 0.01})
    text = validity_report._short([row, bad, cautious], error=0.007)
    assert "| QWK | 100 examples, K = 3, 3 seeds, high variance | error of a family | .090 | yes |" in text
    assert "| coverage of a true difference | .925 | no |" in text
    assert text.count("| QWK |") == 2
    assert "AUC in 1 kind of 100 examples at most" in text
    assert "Nowhere does a verdict err" in validity_report._short([row], error=0.007)
