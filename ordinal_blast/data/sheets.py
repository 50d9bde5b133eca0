"""Tables in files as rows of texts: CSV, Parquet or Excel, with what a file does not state settled by its content.

- The separator is the one of tab, semicolon and comma that cuts every line into as many entries, the first of these
  where several do; where none does, the one that the first line has most of.
- The encoding is UTF-8, or UTF-16 where the file begins with its mark; another has to be stated.
- The decimal mark is a comma where numbers have commas, none has a point, and not all could be thousands.

Parquet and Excel are read by pandas, which needs pyarrow and openpyxl for them.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import math
import numbers
import re
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from ordinal_blast.errors import UsageError, UserError, reason
from ordinal_blast.ranges import Range, one_of

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".xlsx")
MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "<NA>", "NaT")
_HAVE = ("id", "group", "images", "numbers")  # what examples have of every source
_BY_PANDAS = {".parquet": ("Parquet", "pyarrow"), ".xlsx": ("Excel", "openpyxl"), ".xls": ("Excel", "openpyxl")}
_Lines = list[tuple[int, list[str]]]  # with their numbers
_LOOKED_AT = 100  # lines that settle the separator
_EITHER = r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?"  # a number with either decimal mark
_THOUSANDS = r"[+-]?\d{1,3}(,\d{3})+"


def is_encoding(value: Any) -> bool:
    """Whether it names an encoding of text, or is empty."""
    try:
        return value == "" or bool("a".encode(value).decode(value))
    except (LookupError, TypeError, ValueError):
        return False


def _is_separator(value: Any) -> bool:
    return isinstance(value, str) and (value == "" or (len(value) == 1 and value not in '\r\n" '))


Separator = Annotated[str, Range("one character, or empty", _is_separator)]
Encoding = Annotated[str, Range("an encoding such as utf-8 or latin-1, or empty", is_encoding)]
Decimal = Annotated[str, one_of("", ".", ",")]


class Sheet(NamedTuple):
    """A file: its columns, and per row its place, such as "a.csv, line 3", and its texts. notes: what was settled."""

    path: Path
    columns: tuple[str, ...]
    places: tuple[str, ...]
    rows: list[list[str]]
    notes: tuple[str, ...] = ()

    def column(self, name: str, option: str = "") -> list[str]:
        """The texts of a column, without space around them; raises UserError unless there is one of that name.

        option: of `data.options`, which named it.
        """
        if self.columns.count(name) != 1:
            has = ", ".join(shown(column) or "one without a name" for column in self.columns[:12])
            has += ", ..." if len(self.columns) > 12 else ""
            hint = f"; name another by data.options.{option}" if option else ""
            raise UserError(f"{self.path} has {self.columns.count(name)} columns named {name}: it has {has}{hint}")
        return self.at(self.columns.index(name))

    def at(self, place: int) -> list[str]:
        """The texts of the column at a place."""
        return [row[place].strip() for row in self.rows]


def check_along(names: Sequence[str]) -> None:
    """Raises UsageError where columns that travel along with examples have a name twice, or one that examples have."""
    for name in names:
        if names.count(name) > 1 or name in _HAVE or "/" in name:
            raise UsageError(f"data.options.along has {shown(name)}: name columns once, and not as {', '.join(_HAVE)}")


def read(
    path: Path,
    *,
    headed: bool = True,
    separator: str = "",
    encoding: str = "",
    stated_by: str = "data.options.encoding",
) -> Sheet:
    """The rows of a file, all of one length; without a header columns are named "column 1" and so on.

    stated_by: what a user states another encoding by. Raises UserError for a file that is none, cannot be read or
    decoded, is ragged or has no rows.
    """
    if not path.is_file():  # opening a pipe would wait for ever
        raise UserError(f"cannot read {path}: it is no regular file; give a table")
    kind = _BY_PANDAS.get(path.suffix.lower())
    lines, notes = _by_pandas(path, *kind, headed) if kind else _text(path, separator, encoding, stated_by)
    header = [" ".join(text.split()) for text in lines.pop(0)[1]] if headed and lines else []
    if not lines:
        raise UserError(f"{path} has no rows: give one line an example")
    header = header or [f"column {number}" for number in range(1, len(lines[0][1]) + 1)]
    for number, line in lines:
        if len(line) != len(header):
            raise UserError(f"{path}, line {number}: {len(line)} entries instead of {len(header)}: correct that line")
    places = tuple(f"{path}, line {number}" for number, _ in lines)
    return Sheet(path, tuple(header), places, [line for _, line in lines], notes)


def number(text: str, decimal: str = ".") -> float:
    """The number that a text is, or NaN."""
    if decimal == ",":
        text = "?" if "." in text else text.replace(",", ".")
    try:
        return math.nan if "_" in text else float(text)  # Python reads 1_0 as ten, tables do not
    except ValueError:
        return math.nan


def decimal_mark(columns: Iterable[Sequence[str]], path: Path) -> str:
    """The decimal mark of columns of texts: "," or "."; raises UserError where commas may be either.

    Only columns count in which every text that holds a digit is a number by one of the two.
    """
    commas: list[str] = []
    columns = [[text.strip() for text in column] for column in columns]
    if not any("," in text for column in columns for text in column):
        return "."
    for column in columns:
        texts = [text for text in column if re.search(r"\d", text)]
        if all(re.fullmatch(f"{_EITHER}|{_THOUSANDS}", text) for text in texts):
            if any("." in text for text in texts):
                return "."
            commas += [text for text in texts if "," in text]
    if commas and all(re.fullmatch(_THOUSANDS, text) for text in commas):
        raise UserError(
            f"{path}: {commas[0]} may have a comma of thousands or a decimal one: say which by data.options.decimal"
        )
    return "," if commas else "."


def shown(text: str) -> str:
    """A text of a file on one line, printable and not too long."""
    text = " ".join(text.split())
    text = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _text(path: Path, separator: str, encoding: str, stated_by: str) -> tuple[_Lines, tuple[str, ...]]:
    """The lines that are not empty with their numbers, and notes of what was settled other than in most files."""
    try:
        content = path.read_bytes()
        utf16 = not encoding and content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = content.decode(encoding or ("utf-16" if utf16 else "utf-8"))
        text = text.removeprefix("\ufeff")
        chosen = separator or _separator(text)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=chosen)
        lines = [(reader.line_num, line) for line in reader if line]
    except UnicodeDecodeError as error:
        what = f"say its encoding by {stated_by}, such as latin-1" if not encoding else "it is another"
        raise UserError(f"cannot read {path}: it is no text in {encoding or error.encoding.upper()}; {what}") from error
    except (OSError, csv.Error) as error:
        raise UserError(f"cannot read {path}: {reason(error)}; give a table in text") from error
    settled = ["in UTF-16"] if utf16 else []
    settled += [f"with {chosen!r} between its entries"] if chosen not in (separator, ",", "\t") else []
    return lines, tuple(f"{path.name} is read {text}" for text in settled)


def _separator(text: str) -> str:
    head = list(itertools.islice((line for line in text.splitlines() if line.strip()), _LOOKED_AT))
    for candidate in "\t;,":
        lengths = {len(line) for line in csv.reader(head, delimiter=candidate) if line}
        if len(lengths) == 1 and lengths != {1}:
            return candidate
    return max(",;\t", key=head[0].count) if head else ","


def _by_pandas(path: Path, what: str, package: str, headed: bool) -> tuple[_Lines, tuple[str, ...]]:
    """The same of a file that pandas reads."""
    import pandas as pd

    notes: tuple[str, ...] = ()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a worksheet has beside its cells
            if what == "Excel":
                with pd.ExcelFile(path, engine=package) as book:
                    first, *others = map(str, book.sheet_names)
                    frame = book.parse(0, header=None, dtype=object, keep_default_na=False)
                notes = (f"{path.name} is read from its first worksheet, {shown(first)}",) if others else ()
            else:
                frame = pd.read_parquet(path, engine=package)
                frame = frame.reset_index() if any(frame.index.names) else frame
        head = [list(map(str, frame.columns))] if headed and what == "Parquet" else []
        rows = frame.astype(object).where(frame.notna(), "").to_numpy().tolist()
    except ImportError as error:
        raise UserError(
            f"cannot read {path}: {what} needs {package}: install ordinal-blast[study], or save it as CSV"
        ) from error
    except Exception as error:  # whatever these readers raise, it is the file's fault
        raise UserError(f"cannot read {path}: {reason(error)}; give a table") from error
    lines = [(line, [_cell(value, path, line) for value in row]) for line, row in enumerate(head + rows, 1)]
    return [(line, row) for line, row in lines if any(row)], notes


def _cell(value: Any, path: Path, line: int) -> str:
    if isinstance(value, numbers.Real) and not isinstance(value, bool) and float(value).is_integer():
        return str(int(float(value)) if isinstance(value, float) else value)
    if not isinstance(value, str) and (isinstance(value, bytes) or hasattr(value, "__len__")):
        raise UserError(f"{path}, line {line}: an entry is a {type(value).__name__}: give texts and numbers")
    return str(value)
