"""Dots with intervals: what is drawn, and where the axis ends."""

import math

import pytest

from ordinal_blast.report import diagrams
from ordinal_blast.report.theme import looks

NONE = (math.nan, math.nan)


def test_every_line_and_variant_is_named_and_the_same_values_give_the_same_bytes():
    lines = {"all": {"a": (0.5, 0.4, 0.6), "b": (0.4, *NONE)}, "north": {"a": (0.3, 0.1, 0.5)}}
    drawing = diagrams.dots(lines, looks(["a", "b"], "a"), "MAE by clinic", apart=["all"])
    assert all(f">{text}<" in drawing.svg for text in ("all", "north", "a", "b", "MAE by clinic"))
    assert drawing == diagrams.dots(lines, looks(["a", "b"], "a"), "MAE by clinic", apart=["all"])


def test_one_interval_far_longer_than_the_others_does_not_set_the_axis():
    values = [(0.5, 0.4, 0.6), (0.4, 0.3, 0.5), (0.5, -9.0, 10.0)]
    assert diagrams._limits(values) == pytest.approx((0.3 - 0.015, 0.6 + 0.015))
    assert diagrams._limits([(0.5, *NONE)]) == (0.45, 0.55)
