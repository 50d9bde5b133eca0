"""Votes and leave-one-rater-out agreement against the equations written as loops."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from ordinal_blast.evaluation import raters


def draw(seed: int = 0, n: int = 40, r: int = 7, num_classes: int = 4):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, num_classes, (n, 1))
    annotations = np.clip(truth + rng.integers(-1, 2, (n, r)), 0, num_classes - 1)
    annotations[rng.uniform(size=(n, r)) < 0.3] = -1
    return annotations, truth[:, 0]


def tied(grades: list[int]) -> list[int]:
    counts = Counter(grades)
    return sorted(grade for grade, count in counts.items() if count == max(counts.values()))


def decide(grades: list[int], ties: str) -> int | None:
    best = tied(grades)
    if ties == "drop":
        return best[0] if len(best) == 1 else None
    if ties == "median":
        return min(best, key=lambda grade: (abs(grade - Fraction(np.median(grades))), grade))
    return best[0] if ties == "low" else best[-1]


RULES = ["low", "high", "median", "drop"]


@pytest.mark.parametrize("seed", range(3))
def test_a_tie_goes_to_the_first_rater_who_gave_a_tied_grade(seed):
    annotations, _ = draw(seed)
    listed = [[grade for grade in row if grade >= 0] for row in annotations.tolist()]
    expected = [max(grades, key=grades.count) if grades else -1 for grades in listed]  # max takes the first of several
    assert raters.vote(annotations, "first").tolist() == expected
    assert raters.vote(annotations, "low").tolist() != expected


@pytest.mark.parametrize("ties", RULES)
@pytest.mark.parametrize("seed", range(3))
def test_votes(ties, seed):
    annotations, _ = draw(seed)
    expected = [decide([g for g in row if g >= 0], ties) for row in annotations.tolist() if max(row) >= 0]
    assert raters.vote(annotations, ties).tolist() == [-1 if v is None else v for v in expected]


@pytest.mark.parametrize(
    ("row", "ties", "expected"),
    [
        ([0, 0, 2, 2, 1], "low", 0),
        ([0, 0, 2, 2, 1], "high", 2),
        ([0, 0, 2, 2, 1], "median", 0),
        ([0, 0, 2, 2, 3], "median", 2),
        ([0, 0, 2, 2, 1], "drop", -1),
        ([-1, -1, -1, -1, -1], "high", -1),
        ([-1, -1, -1, -1, -1], "median", -1),
        ([-1, 3, -1, -1, -1], "drop", 3),
    ],
)
def test_vote_by_hand(row, ties, expected):
    assert raters.vote([row], ties).tolist() == [expected]


@pytest.mark.parametrize("ties", [*RULES, "share"])
@pytest.mark.parametrize("seed", range(3))
def test_leave_one_out_is_equations_4_and_5(ties, seed):
    annotations, truth = draw(seed)
    predictions = np.clip(truth + np.arange(len(truth)) % 3 - 1, 0, 3)
    human, model = [], []
    for row, prediction in zip(annotations.tolist(), predictions.tolist(), strict=True):
        grades = [g for g in row if g >= 0]
        hits = []
        for a, own in enumerate(grades):
            rest = grades[:a] + grades[a + 1 :]
            if not rest:
                continue
            if ties == "share":
                best = tied(rest)
                hits.append([Fraction(g in best, len(best)) for g in (own, prediction)])
            elif (decided := decide(rest, ties)) is not None:
                hits.append([decided == own, decided == prediction])
        if hits:
            human.append(np.mean([h[0] for h in hits]))
            model.append(np.mean([h[1] for h in hits]))
    found = raters.leave_one_out(annotations, predictions, ties)
    assert found.human == pytest.approx(float(np.mean(human)), rel=1e-12)
    assert found.model == pytest.approx(float(np.mean(model)), rel=1e-12)
    assert found.num_examples == len(human)


def test_leave_one_out_by_hand():
    # 0 0 1: without a 0 the rest is tied (0, 1), without the 1 it says 0. Low: raters hit 1, 1, 0 and ŷ = 0 hits all.
    found = raters.leave_one_out([[0, 0, 1], [2, -1, -1]], [0, 2], ties="low")
    assert (found.human, found.model, found.num_examples) == (2 / 3, 1, 1)
    assert found.tied == 2 / 3
    assert math.isnan(found.human_by_example[1])
    assert raters.leave_one_out([[0, 0, 1]], [0], ties="high").human == 0
    assert raters.leave_one_out([[0, 0, 1]], [0], ties="drop").human == 0
    assert raters.leave_one_out([[0, 0, 1]], [0], ties="share").human == pytest.approx(1 / 3)
    assert math.isnan(raters.leave_one_out([[0, 0, 1]]).model)


def test_order_of_raters_and_missing_columns_change_nothing():
    annotations, truth = draw()
    shuffled = np.random.default_rng(0).permuted(annotations, axis=1)
    wider = np.concatenate([shuffled, np.full((len(truth), 3), -1)], axis=1)
    before, after = raters.leave_one_out(annotations, truth), raters.leave_one_out(wider, truth)
    np.testing.assert_array_equal(before.human_by_example, after.human_by_example)
    np.testing.assert_array_equal(before.model_by_example, after.model_by_example)


def test_reversing_the_scale_exchanges_low_and_high():
    annotations, truth = draw()
    reverse = np.where(annotations < 0, -1, 3 - annotations)
    low = raters.leave_one_out(annotations, truth, "low")
    high = raters.leave_one_out(reverse, 3 - truth, "high")
    np.testing.assert_array_equal(low.human_by_example, high.human_by_example)
    np.testing.assert_array_equal(low.model_by_example, high.model_by_example)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: raters.vote([[0, 1], [2, -2]]), r"annotations\[1, 1\] = -2"),
        (lambda: raters.vote([[0, 10**9]]), r"annotations\[0, 1\] = 1000000000 is neither a grade"),
        (lambda: raters.vote([[0, None]]), r"annotations\[0, 1\] must be a number, found None"),
        (lambda: raters.vote(np.ma.masked_equal([[0, 9]], 9)), r"annotations\[0, 1\] is masked"),
        (lambda: raters.leave_one_out([[0, 1], [1, 1]], [0, -1]), r"predictions\[1\] = -1 is no grade"),
        (lambda: raters.vote([0, 1]), r"shape \[N, R\]"),
        (lambda: raters.vote([[0.0, 1.0]]), "integers"),
        (lambda: raters.vote([[0, 1]], ties="random"), "low, high, median, drop, first, found 'random'"),
        (lambda: raters.leave_one_out([[0, -1], [1, -1]]), "at least two raters"),
        (lambda: raters.leave_one_out([[0, 1]], [0, 1]), r"integers \[1\], found int64 \(2,\)"),
    ],
)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_others_credit_every_grade_as_the_model_that_gives_it():
    annotations, _ = draw(5)
    of = raters.others(annotations, "share", num_classes=6)
    assert of.credit.shape == (40, 6)
    for grade in range(6):
        alone = raters.leave_one_out(annotations, np.full(40, grade), "share")
        np.testing.assert_allclose(of.credit[:, grade], alone.model_by_example, rtol=1e-12)
        np.testing.assert_allclose(of.human, alone.human_by_example, rtol=1e-12)


def test_distribution_counts_the_annotations_of_every_vote():
    annotations = np.array([[0, 0, 1], [2, 2, 1], [2, -1, 1], [-1, -1, -1]])
    assert raters.distribution(annotations, "low").tolist() == [[2, 1, 0], [0, 1, 1], [0, 1, 2]]
    assert raters.distribution(annotations, "drop", 4)[1:3].tolist() == [[0, 0, 0, 0], [0, 1, 2, 0]]
