"""Quality groups, and the area they give against an outcome."""

from __future__ import annotations

import pytest

from ordinal_blast.embryo import outcome
from ordinal_blast.evaluation import roc

C, B, A = 0, 1, 2


def test_quality_groups_of_all_pairs():
    pairs = {(A, A): "top", (A, B): "good", (B, A): "good", (B, B): "good"}
    icm, te = zip(*((i, t) for i in (C, B, A) for t in (C, B, A)), strict=True)
    found = [outcome.QUALITY_GROUPS[group] for group in outcome.quality_group(icm, te)]
    assert found == [pairs.get(pair, "poor") for pair in zip(icm, te, strict=True)]


def test_groups_rank_outcomes():
    # Groups 2 1 0 1 against outcomes 1 1 0 0: the four pairs score 1, 1, 1 and 1/2.
    assert roc.auc([1, 1, 0, 0], outcome.quality_group([A, A, C, B], [A, B, A, B])) == 3.5 / 4


def test_bad_grades_are_named():
    with pytest.raises(ValueError, match=r"te\[1\] = 3 is outside 0\.\.2"):
        outcome.quality_group([A, A], [A, 3])
    with pytest.raises(ValueError, match="2 icm but 1 te"):
        outcome.quality_group([A, A], [A])
