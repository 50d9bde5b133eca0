"""How numbers are written."""

import pytest

from ordinal_blast.report.formats import runs_of


@pytest.mark.parametrize(
    ("values", "text"),
    [([0], "0"), ([1, 0], "0, 1"), (range(30), "0–29"), ([4, 0, 1, 2, 7, 8], "0–2, 4, 7, 8"), ([], "")],
)
def test_runs_of_integers_are_written_as_their_ends(values, text):
    assert runs_of(values) == text
