"""Grades from names and numbers: orders that can be told are, others are refused."""

import pytest

from ordinal_blast.data import labels
from ordinal_blast.errors import UsageError, UserError


def read(texts, *grades, **options):
    places = [f"line {number}" for number in range(1, len(texts) + 1)]
    return labels.read("stage", texts, places, grades, **options)


@pytest.mark.parametrize(
    ("texts", "grades"),
    [
        (["3", "1", "2"], ("1", "2", "3")),
        (["10", "9"], ("9", "10")),
        (["1.0", "2", "2.5"], ("1", "2", "2.5")),
        (["-1", "0", "1"], ("-1", "0", "1")),
        (["2 severe", "0 none", "10 dead"], ("0 none", "2 severe", "10 dead")),
        (["Grade 2", "grade 1"], ("grade 1", "Grade 2")),
        (["T2a", "T1"], ("T1", "T2a")),
    ],
)
def test_an_order_is_told_by_numbers(texts, grades):
    task, found, notes = read(texts)
    assert task.grades == grades
    assert notes[0] == f"grades of stage are taken in the order of their numbers, worst first: {', '.join(grades)}"
    assert sorted(found.tolist()) == list(range(len(grades)))


@pytest.mark.parametrize(
    "texts", [["mild", "none"], ["T1a", "T1b"], ["T1", "N2"], ["1", "inf"], ["1", "high"], ["a1", "b2"]]
)
def test_no_other_order_is_guessed(texts):
    with pytest.raises(
        UsageError, match=r"the order of the grades of stage cannot be told from their names .*: state it"
    ):
        read(texts)


def test_numbers_between_grades_are_noted():
    assert read(["1", "4"])[2][1:] == ("no label of stage is 2, 3: to have that grade, name it in data.options.grades",)
    with pytest.raises(UserError, match=r"stage has 101 different labels .*: name a column of grades"):
        read([str(number) for number in range(101)])


def test_the_lowest_number_is_told_where_numbers_are_as_many_as_grades():
    assert read(["5", "6", "7"], "C", "B", "A")[1].tolist() == [0, 1, 2]
    assert read(["5", "7"], "C", "B", "A")[1].tolist() == [0, 2]
    with pytest.raises(UsageError, match=r"numbers from 5 to 6, and there are 3 grades: say by data.options.lowest"):
        read(["5", "6"], "C", "B", "A")
    assert read(["5", "6"], "C", "B", "A", lowest=4)[1].tolist() == [1, 2]
    with pytest.raises(UserError, match=r"line 2: the label 8 is not one of the 3 grades 5 ... 7"):
        read(["5", "8"], "C", "B", "A")


def test_grades_that_are_numbers_are_named_however_they_are_written():
    assert read(["1.0", "2.0", ""], "2", "1")[1].tolist() == [1, 0, -1]
    assert read(["1,0", "2,0"], "1", "2", decimal=",")[1].tolist() == [0, 1]


def test_missing_labels_are_none_unless_a_grade_is_named_so():
    assert read(["NA", "a", "b"], "a", "b", missing=("", "NA"))[1].tolist() == [-1, 0, 1]
    assert read(["NA", "a", "b"], "NA", "a", "b", missing=("", "NA"))[1].tolist() == [0, 1, 2]
