"""How numbers are written."""

import pytest

from ordinal_blast.report.formats import interval, number, runs_of


@pytest.mark.parametrize(
    ("values", "text"),
    [([0], "0"), ([1, 0], "0, 1"), (range(30), "0–29"), ([4, 0, 1, 2, 7, 8], "0–2, 4, 7, 8"), ([], "")],
)
def test_runs_of_integers_are_written_as_their_ends(values, text):
    assert runs_of(values) == text


def test_the_last_bit_of_a_mean_does_not_change_how_it_is_written():
    values = [0.7375, 0.7225, 0.7375, 0.6925, 0.6775]
    means = {sum(values) / 5, sum(reversed(values)) / 5, sum(sorted(values)) / 5, 0.7135 + 1e-15, 0.7135 - 1e-15}
    assert len(means) > 1
    assert len({number(mean) for mean in means}) == 1


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (-0.0081, -0.0002, "[−0.0081, −0.0002]"),
        (0.00003, 0.1, "[+0.00003, +0.10000]"),
        (-0.0081, 0.0002, "[−0.008, 0.000]"),
        (0.0, 0.1, "[0.000, +0.100]"),
        (-0.2, -0.1, "[−0.200, −0.100]"),
        (float("nan"), float("nan"), "no interval"),
    ],
)
def test_an_interval_that_excludes_zero_is_seen_to(low, high, text):
    assert interval(low, high) == text
