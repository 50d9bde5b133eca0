"""The chapter over hold-outs and data sets: its numbers against independent computations."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ordinal_blast import report
from ordinal_blast.report import figures, grid, load
from ordinal_blast.report.formats import number
from ordinal_blast.report.measures import PRIMARY, differences

ACCURACY = PRIMARY[0]


@pytest.fixture(scope="module")
def holdouts(write_run, tmp_path_factory):
    """Four variants, eight hold-outs of one data set."""
    path = tmp_path_factory.mktemp("holdouts")
    return write_run(path, stages=("mlp",), tasks=("grade",), seeds=range(8), n=60, resplit=True)


@pytest.fixture(scope="module")
def page(holdouts, tmp_path_factory):
    return report.write([load(holdouts)], tmp_path_factory.mktemp("report"), "the command")


def scores(path, metric):
    """`[B, M]` straight from the result files."""
    plan = json.loads((path / "plan.json").read_text())
    table = np.zeros((len(plan["seeds"]), len(plan["variants"])))
    for name in plan["cells"]:
        found = json.loads((path / "cells" / name / "result.json").read_text())
        row = next(row for row in found["rows"] if row["split"] == "test")
        table[plan["seeds"].index(found["seed"]), plan["variants"].index(found["variant"])] = row["metrics"][metric]
    return table


def test_the_grid_is_the_scores_of_the_result_files(holdouts):
    found = grid.gather([load(holdouts)])
    assert found.blocks == 8
    for measure in PRIMARY:
        np.testing.assert_array_equal(found.scores[measure], scores(holdouts, measure.key))


def test_ranks_friedman_and_critical_difference_are_on_the_page(holdouts, page):
    text = page.read_text(encoding="utf-8")
    accuracy = scores(holdouts, "accuracy")
    ranks = stats.rankdata(-accuracy, axis=1).mean(axis=0)
    blocks, methods = accuracy.shape
    chi, _ = stats.friedmanchisquare(*accuracy.T)
    f = (blocks - 1) * chi / (blocks * (methods - 1) - chi)
    assert (
        f"<td>{number(chi, 1)}</td><td>{number(f, 1)}</td><td>{methods - 1}, {(methods - 1) * (blocks - 1)}</td>"
        in text
    )
    for rank in ranks:
        assert f">{number(rank, 2)}</td>" in text
    q = {3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850}[methods]  # Demšar (2006), table 5
    distance = q * np.sqrt(methods * (methods + 1) / (6 * blocks))
    assert f"<td>{number(distance, 2)}</td>" in text
    assert "not independent" in text


def test_the_interval_over_holdouts_is_that_of_nadeau_and_bengio(holdouts):
    study = load(holdouts)
    (group,) = study.groups()
    table = scores(holdouts, "accuracy")
    sizes = study.cells[0].record.dataset["sizes"]
    for column, found in enumerate(differences(group, study.reference, ACCURACY), start=1):
        d = table[:, column] - table[:, 0]
        error = np.sqrt((1 / 8 + sizes["test"] / (sizes["train"] + sizes["val"])) * d.var(ddof=1))
        np.testing.assert_allclose([found.low, found.high], d.mean() + error * stats.t.ppf([0.025, 0.975], 7))


def test_seeds_that_share_their_test_set_are_one_block(small, holdouts, write_run, tmp_path):
    assert grid.gather([load(small)]) is None
    other = write_run(tmp_path / "b", stages=("mlp",), tasks=("grade",), n=40)
    found = grid.gather([load(holdouts), load(other)])
    assert found.blocks == 8 + 1
    np.testing.assert_allclose(found.scores[ACCURACY][-1], scores(other, "accuracy").mean(axis=0))
    assert [group.title for group in found.holdouts] == ["MLP · GRADE"]


def test_two_variants_make_no_chapter(write_run, tmp_path):
    path = write_run(tmp_path, variants=("cross_entropy", "b"), stages=("mlp",), tasks=("g",), n=40, resplit=True)
    assert grid.gather([load(path)]) is None


@pytest.mark.parametrize(
    ("ranks", "distance", "expected"),
    [
        ([1.0, 1.5, 2.4, 4.0], 1.0, [(0, 1), (1, 2)]),
        ([1.0, 1.5, 1.9, 4.0], 1.0, [(0, 2)]),
        ([1.0, 2.0, 3.0], 1.0, []),
        ([1.0, 2.0, 3.0], 5.0, [(0, 2)]),
    ],
)
def test_bars_join_the_longest_runs_within_the_critical_difference(ranks, distance, expected):
    assert figures.cliques(ranks, distance) == expected


def test_many_seeds_are_drawn_as_a_band(page):
    drawn = list((page.parent / "figures").glob("*training-mlp-*.svg"))
    assert len(drawn) == 6
    for path in drawn:
        text = path.read_text()
        assert text.count("stroke-dasharray") == 1  # one mean for eight seeds
        assert text.count("FillBetweenPolyCollection") == 1


def test_the_same_rows_give_the_same_bytes(holdouts, page, tmp_path):
    again = report.write([load(holdouts)], tmp_path, "the command")
    assert again.read_bytes() == page.read_bytes()
    assert pd.read_csv(again.parent / "rows.csv").shape[0] == 8 * 6 * 2
