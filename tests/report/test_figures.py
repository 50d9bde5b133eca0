"""What figures show, read from their text, and the numbers behind them."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ordinal_blast.report import comparison, figures, load, theme
from ordinal_blast.report.measures import Measure, primary
from ordinal_blast.report.verdicts import Difference

QWK = Measure("qwk", "QWK", True)
LOOKS = theme.looks(["a", "b", "c"], "a")
GAPS = [
    Difference("b", QWK, (0.1, 0.3), 0.2, 0.1, 0.3, "better", ""),
    Difference("c", QWK, (-0.1, 0.1), 0.0, -0.1, 0.1, "cannot tell", ""),
]


def test_a_forest_names_every_variant_with_its_interval_and_the_subject_in_bold():
    svg = figures.forest(GAPS, LOOKS, "a", "QWK", subject="c").svg
    texts = {text: style for style, text in re.findall(r'<text style="([^"]*)"[^>]*>([^<]*)</text>', svg)}
    assert {"QWK, minus that of a", "b", "c", "+0.200 [+0.100, +0.300]", "0.000 [−0.100, +0.100]"} <= set(texts)
    bold = {text for text, style in texts.items() if re.search("font-weight:(bold|700)|font:(bold|700)", style)}
    assert bold == {"QWK, minus that of a", "c", "0.000 [−0.100, +0.100]"}


@pytest.mark.parametrize("k", [3, figures.MOST_WORDS, figures.MOST_WORDS + 1, 16])
def test_a_confusion_matrix_says_its_counts_in_words_or_else_behind_the_figure(k):
    counts = np.random.default_rng(k).integers(0, 30, (k, k))
    drawing = figures.confusion(counts, [str(grade) for grade in range(k)], LOOKS["b"])
    texts = re.findall(r">([0-9]+%)</text>", drawing.svg)
    assert len(texts) == (k * k if k <= figures.MOST_WORDS else 0)
    assert drawing.data["count"].tolist() == counts.ravel().tolist()
    assert drawing.data["share"].to_numpy() == pytest.approx((counts / counts.sum(axis=1, keepdims=True)).ravel())
    assert len(drawing.svg) < 30_000  # 71,000 with a shape and two texts a cell of nine grades


def test_the_band_of_equivalence_is_within_the_figure():
    narrow, wide = (figures.forest(GAPS, LOOKS, "a", "QWK", equivalence=e).svg for e in (0.02, 2.0))
    assert "2" in re.findall(r">([0-9]+)</text>", wide)
    assert "2" not in re.findall(r">([0-9]+)</text>", narrow)


def test_of_many_variants_the_reference_and_the_best_of_a_measure_are_shown(small):
    study = load(small)
    group = study.groups()[0]
    assert comparison.foremost(study, group, 3) == list(study.variants)
    means = study.scores[(study.scores["split"] == "test") & (study.scores["task"] == group.task)]
    means = means.groupby("variant", observed=True)[[measure.key for measure in primary(group)]].mean()
    best = {
        (means[measure.key].idxmax if measure.higher else means[measure.key].idxmin)() for measure in primary(group)
    }
    assert set(comparison.foremost(study, group, 2)) == {study.reference, *best}


def test_curves_are_those_of_the_reference_and_of_the_largest_areas():
    areas = {f"v{number}": number / 100 for number in range(40)}
    assert comparison._largest(areas, "v3") == ["v3", *(f"v{39 - place}" for place in range(19))]
