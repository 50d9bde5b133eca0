"""Tables in files: separators, encodings and decimal marks stated or settled, and what cannot be settled refused."""

import numpy as np
import pandas as pd
import pytest

from ordinal_blast.data import sheets
from ordinal_blast.errors import UserError


def sheet(tmp_path, text, name="a.csv", encoding="utf-8", **reading):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return sheets.read(path, **reading)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a,b\n1,2\n3,4\n", [["1", "2"], ["3", "4"]]),
        ("a;b\n1,5;2,5\n3;4\n", [["1,5", "2,5"], ["3", "4"]]),
        ("1,5;2,5;3\n1,5;2,5;3\n", [["1,5", "2,5", "3"]]),  # commas would cut every line alike too
        ("a\tb\n1,5\t2;5\n", [["1,5", "2;5"]]),
        ('a,b\n"1,5","x;y"\n', [["1,5", "x;y"]]),
        ("a\n1\n2\n", [["1"], ["2"]]),
        ("a,b\r\n\r\n1,2\r\n", [["1", "2"]]),
        ('a,b\n"1\n2",3\n', [["1\n2", "3"]]),
    ],
)
def test_the_separator_is_the_one_that_cuts_every_line_alike(tmp_path, text, rows):
    assert sheet(tmp_path, text).rows == rows


def test_a_stated_separator_is_taken(tmp_path):
    assert sheet(tmp_path, "a|b\n1;0|2;0\n", separator="|").rows == [["1;0", "2;0"]]
    found = sheet(tmp_path, "a;b\n1;2\n")
    assert found.notes == ("a.csv is read with ';' between its entries",)
    assert sheet(tmp_path, "a;b\n1;2\n", separator=";").notes == ()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_unicode_is_told_by_its_mark(tmp_path, encoding):
    found = sheet(tmp_path, "größe,y\n1,ä\n", encoding=encoding)
    assert (found.columns, found.rows) == (("größe", "y"), [["1", "ä"]])
    assert found.notes == (("a.csv is read in UTF-16",) if encoding == "utf-16" else ())


def test_a_mark_at_the_beginning_is_no_letter_of_the_first_column_whether_or_not_its_encoding_is_stated(tmp_path):
    sheet(tmp_path, "größe,y\n1,ä\n", encoding="utf-8-sig")
    for encoding in ("", "utf-8"):
        assert sheets.read(tmp_path / "a.csv", encoding=encoding).columns == ("größe", "y")


def test_another_encoding_has_to_be_stated(tmp_path):
    with pytest.raises(
        UserError, match=r"a.csv: it is no text in UTF-8; say its encoding by data.options.encoding, such"
    ):
        sheet(tmp_path, "größe,y\n1,2\n", encoding="latin-1")
    assert sheets.read(tmp_path / "a.csv", encoding="latin-1").columns == ("größe", "y")
    with pytest.raises(UserError, match=r"a.csv: it is no text in ascii; it is another$"):
        sheets.read(tmp_path / "a.csv", encoding="ascii")


@pytest.mark.parametrize(
    ("columns", "mark"),
    [
        ([["1", "2"]], "."),
        ([["1,5", "2"], ["a,b", "c"]], ","),
        ([["1,234", "2,5"]], ","),  # not all can be thousands
        ([["1,5", "2"], ["0.5", "1"]], "."),
        ([["1,5e-3", ",5", "-3,"]], ","),
        ([["a,b", "T1,2"]], "."),
        ([[" 1,5 ", ""]], ","),
    ],
)
def test_the_decimal_mark_is_a_comma_where_numbers_have_commas_and_no_points(tmp_path, columns, mark):
    assert sheets.decimal_mark(columns, tmp_path) == mark


def test_commas_that_may_be_thousands_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"1,234 may have a comma of thousands or a decimal one: say which by data"):
        sheets.decimal_mark([["1,234", "12,000"]], tmp_path)


@pytest.mark.parametrize(
    ("text", "decimal", "value"),
    [("1.5", ".", 1.5), ("1,5", ",", 1.5), ("1.5", ",", None), ("1,5", ".", None), ("1_0", ".", None), ("", ".", None)],
)
def test_numbers_are_read_with_their_decimal_mark_alone(text, decimal, value):
    found = sheets.number(text, decimal)
    assert (None if np.isnan(found) else found) == value


def test_parquet_is_read_as_a_text_file_would_be(tmp_path):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame(
        {
            "x": np.float32([0.1, np.nan, 3.0]),
            "n": pd.array([1, None, 3], dtype="Int64"),
            "sex": pd.Categorical(["m", None, "f"]),
            "who": ["p1", "NA", ""],
        }
    )
    frame.to_parquet(tmp_path / "a.parquet")
    found = sheets.read(tmp_path / "a.parquet")
    assert found.columns == ("x", "n", "sex", "who")
    assert np.float32(found.rows[0][0]) == np.float32(0.1)
    assert [row[1:] for row in found.rows] == [["1", "m", "p1"], ["", "", "NA"], ["3", "f", ""]]
    assert found.rows[2][0] == "3"
    assert found.places[1] == f"{tmp_path}/a.parquet, line 3"
    frame.set_index("who").to_parquet(tmp_path / "a.parquet")
    assert sheets.read(tmp_path / "a.parquet").columns == ("who", "x", "n", "sex")
    pd.DataFrame({"x": [[1, 2], [3]]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"a.parquet, line 2: an entry is a ndarray: give texts and numbers"):
        sheets.read(tmp_path / "a.parquet")


@pytest.mark.parametrize(("name", "package"), [("a.parquet", "pyarrow"), ("a.xlsx", "openpyxl")])
def test_a_reader_that_is_not_installed_or_a_damaged_file_is_one_clear_line(tmp_path, name, package, monkeypatch):
    (tmp_path / name).write_bytes(b"PK\x03\x04 no such file")
    with pytest.raises(UserError, match=rf"cannot read .*{name}: ") as caught:
        sheets.read(tmp_path / name)
    assert "\n" not in str(caught.value)
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(
        UserError, match=rf"{name}: .* needs {package}: install ordinal-blast.study., or save it as CSV$"
    ):
        sheets.read(tmp_path / name)
