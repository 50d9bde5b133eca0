"""Grades as people write them: what each text means, and that what is no grade stays apart."""

import numpy as np
import pytest

from ordinal_blast.embryo import gardner
from ordinal_blast.errors import UserError
from ordinal_blast.types import A_RANGE, MISSING, NOT_AGREED, NOT_DEFINED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4AA", ("4", "A", "A")),
        ("3AA-", ("3", "A", "A-")),
        ("3A-A-", ("3", "A-", "A-")),
        (" 5 b+ c ", ("5", "B+", "C")),
        ("3A−B–", ("3", "A-", "B-")),
        ("<3CC", (A_RANGE, "C", "C")),
        ("6AD", ("6", "A", "D")),
        ("2", ("2", NOT_DEFINED, NOT_DEFINED)),
        ("4", ("4", MISSING, MISSING)),
        ("<3", (A_RANGE, NOT_DEFINED, NOT_DEFINED)),
        ("ND", (NOT_DEFINED,) * 3),
        ("", (MISSING,) * 3),
        ("Null", (MISSING,) * 3),
        ("NA", (MISSING,) * 3),
    ],
)
def test_a_whole_grade_has_expansion_icm_and_te(text, expected):
    assert tuple(gardner.whole(text).values()) == expected


@pytest.mark.parametrize("text", ["7AA", "AA", "4A", "4AE", "4AA A", "grade", "44", "0BB"])
def test_what_is_no_whole_grade_is_refused(text):
    with pytest.raises(ValueError, match="is no grade such as 4AA"):
        gardner.whole(text)


@pytest.mark.parametrize(
    ("task", "text", "codes", "expected"),
    [
        ("expansion", "Ex3", "", "3"),
        ("icm", "BoB", "", "B"),
        ("te", "TrC", "", "C"),
        ("expansion", "0", "kromp2023", "1"),
        ("expansion", "2.0", "kromp2023", "3"),
        ("expansion", "NA", "kromp2023", NOT_AGREED),
        ("icm", "0", "kromp2023", "A"),
        ("icm", "3", "kromp2023", NOT_DEFINED),
        ("te", "ND", "kromp2023", NOT_DEFINED),
        ("te", "NA", "kromp2023", NOT_AGREED),
        ("te", "-1", "kromp2023", NOT_AGREED),
        ("te", "", "kromp2023", MISSING),
        ("icm", "NA", "nantes2022", MISSING),
        ("icm", "1", "numbered", "A"),
        ("te", "3", "numbered", "C"),
        ("expansion", "3", "numbered", "3"),
    ],
)
def test_a_number_means_what_its_source_says(task, text, codes, expected):
    assert gardner.entry(task, text, codes) == expected


def test_a_number_without_a_source_that_says_what_it_means_is_no_letter():
    with pytest.raises(ValueError, match=r"'0' is no grade of icm: give A, B, C or D, perhaps with \+ or -"):
        gardner.entry("icm", "0")


def test_signs_are_dropped_or_grades_of_their_own_in_order_and_d_is_asked_for():
    entries, places = ["A-", "B", MISSING, "A", "C+", NOT_AGREED], [f"line {row}" for row in range(6)]
    task, labels, why = gardner.labelled("icm", entries, places)
    assert task.grades == ("C", "B", "A")
    np.testing.assert_array_equal(labels, [2, 1, -1, 2, 0, -1])
    np.testing.assert_array_equal(why, [0, 0, MISSING, 0, 0, NOT_AGREED])
    task, labels, _ = gardner.labelled("icm", entries, places, signs="keep")
    assert task.grades == ("C", "C+", "B", "A-", "A")
    np.testing.assert_array_equal(labels, [3, 2, -1, 4, 1, -1])
    with pytest.raises(UserError, match=r"line 0: te is D, and C is the worst: say D as data.options.worst"):
        gardner.labelled("te", ["D"], places)
    assert gardner.labelled("te", ["D", "A"], places[:2], worst="D")[1].tolist() == [0, 3]
