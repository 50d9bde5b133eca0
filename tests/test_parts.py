"""Parts by name: one of the package, of a module, or of a file; what cannot be had is one line that says what can."""

import dataclasses
import re
import sys
from typing import Annotated, Literal

import flax.linen as nn
import optax
import pytest

from ordinal_blast import kinds, parts
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.ranges import number

TABLE = {"mlp": "ordinal_blast.models.mlp:MLP", "none": print}


@pytest.fixture
def folder(tmp_path):
    """A folder that is no package: a file with parts, a file beside it, and a module of the same kind."""
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "mine.py").write_text(
        "import beside_1\nscale = beside_1.scale\ndef part(x):\n    return scale * x\n"
    )
    (tmp_path / "nets" / "beside_1.py").write_text("scale = 3\n")
    (tmp_path / "own_module_2.py").write_text("def part(x):\n    return 2 * x\n")
    with parts.from_folder(tmp_path):
        yield tmp_path


def test_a_part_is_found_by_its_name_by_a_module_and_by_a_file(folder):
    from ordinal_blast.models.mlp import MLP

    assert parts.find("network", "mlp", TABLE) is MLP
    assert parts.find("network", "none", TABLE) is print
    assert parts.find("network", "ordinal_blast.models.mlp:MLP", {}) is MLP
    assert parts.find("loss", "own_module_2:part", {})(4) == 8
    assert parts.find("loss", "nets/mine.py:part", {})(4) == 12
    assert parts.find("loss", f"{folder}/nets/mine.py:part", {})(4) == 12


def test_the_path_of_imports_is_as_before(folder):
    before = list(sys.path)
    parts.find("loss", "own_module_2:part", {})
    parts.find("loss", "nets/mine.py:part", {})
    with parts.importable():
        assert str(folder) in sys.path
    assert sys.path == before


def test_a_file_runs_once_for_every_text_of_it(folder):
    first = parts.find("loss", "nets/mine.py:part", {})
    assert parts.find("loss", "nets/mine.py:part", {}) is first
    file = folder / "nets" / "mine.py"
    file.write_text(file.read_text() + "\ndef other():\n    pass\n")
    assert parts.find("loss", "nets/mine.py:part", {}) is not first
    assert not list(folder.rglob("mine*.pyc"))


def test_a_class_of_a_file_has_a_module_that_is_there(folder):
    (folder / "mine.py").write_text(
        "from __future__ import annotations\nimport dataclasses\n@dataclasses.dataclass\nclass Part:\n    x: int = 1\n"
    )
    part = parts.find("view", "mine.py:Part", {})
    assert sys.modules[part.__module__].Part is part
    assert parts.stated(part)["x"].holds(3)
    assert not parts.stated(part)["x"].holds("3")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "mlpp",
            "",
            "network is 'mlpp' (did you mean mlp?): there are mlp, none, or one of your own as package.module:",
        ),
        ("", "", "network is '': there are mlp, none, or one of your own"),
        ("no_such_module_3:part", "", "network is no_such_module_3:part: ModuleNotFoundError: No module named"),
        ("no_such.py:part", "", "/no_such.py"),
        ("mine.py:part", "x = 1", "network is mine.py:part: mine.py has no part to call; it has nothing"),
        ("mine.py:part", "part = 1\ndef other(): pass", "mine.py has no part to call; it has other"),
        ("mine.py:", "def other(): pass", "mine.py has no  to call; it has other"),
        ("mine.py:part", "def part(:", "mine.py: SyntaxError"),
        ("mine.py:part", "raise SystemExit(3)", "mine.py: SystemExit: 3"),
        ("mine.py:part", "import no_such_module_3", "mine.py: ModuleNotFoundError"),
        (":part", "", "network is :part: ValueError: Empty module name"),
    ],
)
def test_what_cannot_be_found_is_one_line(folder, name, text, message):
    (folder / "mine.py").write_text(text)
    with pytest.raises(UsageError, match=re.escape(message)) as refused:
        parts.find("network", name, TABLE)
    assert "\n" not in str(refused.value)


def test_a_file_that_failed_can_be_mended(folder):
    (folder / "mine.py").write_text("raise ValueError")
    for _ in range(2):
        with pytest.raises(UsageError, match="ValueError"):
            parts.find("network", "mine.py:part", {})
    (folder / "mine.py").write_text("part = dict")
    assert parts.find("network", "mine.py:part", {}) is dict


def test_what_a_users_code_raises_is_said_of_it_and_what_people_are_told_passes():
    for error in (ValueError("two\nlines"), SystemExit(3), RecursionError("deep")):
        with pytest.raises(UsageError, match=f"^mine: {type(error).__name__}: ") as refused, parts.blamed("mine"):
            raise error
        assert "\n" not in str(refused.value)
    for error in (UserError("said"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as passed, parts.blamed("mine"):
            raise error
        assert passed.value is error


def test_outside_is_what_is_not_of_this_package():
    assert [parts.is_outside(name) for name in ("mlp", "ordinal_blast.a:b", "ordinal_blasted:b", "a.py:b")] == [
        *(False, False),
        *(True, True),
    ]


def part(root, *, size: int, rate: Annotated[float, number(above=0)] = 1.0, kind: Literal["a", "b"] = "a", more=None):
    """A part with every way to say what an option may be."""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 1, "rat": 2}, "data.options has no rat: it takes rate"),
        ({"size": 1, "zzz": 2}, "data.options has no zzz: it takes size, rate, kind, more"),
        ({"size": 1, "root": 2}, "data.options has no root"),
        ({}, "data.options: missing a required argument: 'size'"),
        ({"size": 1.5}, "data.options.size is 1.5: it takes a whole number"),
        ({"size": True}, "data.options.size is True: it takes a whole number"),
        ({"size": 1, "rate": 0}, "data.options.rate is 0: it takes a number above 0"),
        ({"size": 1, "kind": "c"}, "data.options.kind is 'c': it takes one of 'a', 'b'"),
    ],
)
def test_options_that_a_part_does_not_take_are_refused(options, message):
    with pytest.raises(UsageError, match=f"^{re.escape(message)}"):
        parts.check_options(part, options, "data.options", None)


def test_options_that_fit_pass():
    parts.check_options(part, {"size": 3, "rate": 0.5, "kind": "b", "more": object()}, "data.options", None)
    parts.check_options(lambda x, **options: x, {"anything": 1}, "data.options", None)
    parts.check_options(nn.Dense, {"features": 3}, "network.options")
    with pytest.raises(UsageError, match="has no name"):
        parts.check_options(nn.Dense, {"features": 3, "name": "mine"}, "network.options")


@dataclasses.dataclass
class Fields:
    """Fields are options too."""

    widths: tuple[int, ...] = ()
    label: str = ""


def test_what_hints_say_is_a_range():
    stated = parts.stated(Fields)
    assert stated["widths"].holds((1, 2))
    assert not stated["widths"].holds((1, "2"))
    assert stated["label"].words == "a text"
    assert "more" not in parts.stated(part)


def test_every_kind_of_part_has_its_table_and_every_part_in_it_can_be_found():
    listed = {kind: kinds.table(kind) for kind in ("data source", "network", "objective", "schedule", "stage", "view")}
    for kind, known in listed.items():
        assert known, kind
        for name in known:
            assert callable(kinds.find(kind, name)), name
            assert kinds.place(kind, name).startswith("ordinal_blast."), name
    assert kinds.find("optimizer", "adam") is optax.adam
    assert kinds.table("measure") == {}
    assert kinds.place("measure", "mine.py:ordered") == "mine.py:ordered"
