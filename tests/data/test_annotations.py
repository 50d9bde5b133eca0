"""Long tables of annotations: columns, what is no grade, the order of grades, and bad rows by file and line."""

import numpy as np
import pytest

from ordinal_blast.data import annotations
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.types import MISSING, NOT_AGREED, NOT_DEFINED


def read(tmp_path, text, written="utf-8", **options):
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode(written))
    return annotations.read([path], **options)


def test_columns_stand_in_any_order_and_what_is_no_grade_stays_apart(tmp_path):
    text = (
        "value;Task;item;rater\r\nA;icm;e1;Ann\r\nND;icm;e2;Ann\r\n;icm;e1;Jörg\r\nNA;icm;e2;Jörg\r\nC;icm;e3;Ann\r\n"
    )
    for encoding, options in (("utf-8-sig", {}), ("latin-1", {"encoding": "latin-1"})):
        of = read(tmp_path, text, encoding, **options)
        assert (of.items, of.raters, of.groups) == (("e1", "e2", "e3"), ("Ann", "Jörg"), None)
        assert of.tasks[0].grades == ("C", "A")
        np.testing.assert_array_equal(of.grades["icm"], [[1, MISSING], [NOT_DEFINED, NOT_AGREED], [0, MISSING]])
        assert of.notes == ("a.csv is read with ';' between its entries", "grades of icm, worst first: C, A")


@pytest.mark.parametrize(
    ("values", "grades", "codes"),
    [
        (["A", "C", "B"], ("C", "B", "A"), [2, 0, 1]),
        (["A-", "B+", "A", "D"], ("D", "B+", "A-", "A"), [2, 1, 3, 0]),
        (["3", "2,0", "10"], ("2", "3", "10"), [1, 0, 2]),
        (["stage 2", "stage 10"], ("stage 2", "stage 10"), [0, 1]),
    ],
)
def test_grades_are_ordered_by_letters_or_numbers(tmp_path, values, grades, codes):
    lines = [f"e{n};r;t;{value}" for n, value in enumerate(values)]
    of = read(tmp_path, "\n".join(["item;rater;task;value", *lines]))
    assert of.tasks[0].grades == grades
    assert of.grades["t"][:, 0].tolist() == codes


def test_stated_grades_may_hold_what_would_be_no_grade(tmp_path):
    text = "item,rater,task,value\ne1,r,t,ND\ne2,r,t,good\n"
    assert read(tmp_path, text, grades={"t": ["ND", "good"]}).grades["t"].tolist() == [[0], [1]]


def test_items_have_groups_or_stand_alone(tmp_path):
    text = "item,rater,task,value,group\ne1,r,t,1,p\ne1,s,t,2,\ne2,r,t,1,\n"
    assert read(tmp_path, text).groups.tolist() == ["p", "e2 alone"]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("item,rater,value\n1,2,3\n", UserError, "a.csv has no column task: it has item, rater, value; give a table"),
        ("item,rater,task,value\n,r,t,1\n", UserError, r"a.csv, line 2: the item is blank: name it"),
        (
            "item,rater,task,value\ne,r,t,1\ne,r,t,2\n",
            UserError,
            r"a.csv, line 3: r grades t of e again, as 2, after 1 \(.*a.csv, line 2\): keep one",
        ),
        (
            "item,rater,task,value,group\ne,r,t,1,p\ne,s,t,2,q\n",
            UserError,
            r"line 3: e is of group q, and of p \(.*line 2\)",
        ),
        (
            "item,rater,task,value\ne,r,t,1\n",
            UserError,
            r"t has only 1: from two to 100 grades are needed; state them by --grades t=WORST",
        ),
        ("item,rater,task,value\ne,r,t,\n", UserError, "t has no grade"),
        (
            "item,rater,task,value\ne,r,t,good\nf,r,t,bad\n",
            UsageError,
            "the order of the grades of t cannot be told from bad, good: state it, worst first, by --grades t=bad,good",
        ),
    ],
)
def test_a_bad_table_is_one_clear_line(tmp_path, text, error, message):
    with pytest.raises(error, match=message):
        read(tmp_path, text)


def test_a_value_beside_the_stated_grades_is_refused_with_its_line(tmp_path):
    text = "item,rater,task,value\ne,r,icm,A\nf,r,icm,E\n"
    with pytest.raises(UserError, match=r"a.csv, line 3: E is none of the grades of icm, C, B, A, nor ND, NA or blank"):
        read(tmp_path, text, grades={"icm": ["C", "B", "A"]})
    with pytest.raises(UsageError, match="--grades te: the tasks are icm"):
        read(tmp_path, text, grades={"te": ["C", "B", "A"]})


def test_text_in_another_encoding_says_which_option_states_it(tmp_path):
    with pytest.raises(UserError, match="it is no text in UTF-8; say its encoding by --encoding, such as latin-1"):
        read(tmp_path, "item,rater,task,value\nä,r,t,1\n", written="latin-1")
