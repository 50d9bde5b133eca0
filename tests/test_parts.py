"""Parts by name: one of the package, of a module, or of a file; what cannot be had is one line that says what can."""

import dataclasses
import re
import sys
from pathlib import Path
from typing import Annotated, Literal

import flax.linen as nn
import optax
import pytest

from ordinal_blast import kinds, parts, source_text
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


def test_the_folder_of_parts_is_the_present_one_again_after_the_block(tmp_path):
    with parts.from_folder(tmp_path):
        assert parts.locate("a.py:b") == tmp_path / "a.py"
    assert parts.locate("a.py:b") == Path.cwd() / "a.py"
    assert parts.locate("~/a.py:b") == Path.home() / "a.py"
    assert parts.locate("a:b") is None


def test_a_file_beside_a_part_goes_before_another_of_its_name(folder, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "beside_5.py").write_text("scale = 7\n")
    (folder / "nets" / "beside_5.py").write_text("scale = 5\n")
    (folder / "nets" / "five.py").write_text("import beside_5\ndef part(x):\n    return beside_5.scale * x\n")
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))
    assert parts.find("loss", "nets/five.py:part", {})(1) == 5


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
        ("no_such.py:part", "", "network is no_such.py:part: there is no file /"),
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
    assert not [module for module in sys.modules.values() if getattr(module, "__file__", "") == str(folder / "mine.py")]
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


def edit(file, old, new):
    """Another text of the same length, within the same second: what a cached copy is not known to be older than."""
    file.write_text(file.read_text().replace(old, new))


def test_what_a_file_imports_from_its_folder_or_the_present_one_runs_as_it_is_now(folder):
    (folder / "common_3.py").write_text("offset = 0\n")
    mine = folder / "nets" / "mine.py"
    mine.write_text(
        "import beside_1, common_3\nfrom nets.beside_1 import scale\n"
        "def part(x):\n    assert scale == beside_1.scale\n    return scale * x + common_3.offset\n"
    )
    first = parts.find("loss", "nets/mine.py:part", {})
    assert first(4) == 12
    edit(folder / "nets" / "beside_1.py", "3", "5")
    assert parts.find("loss", "nets/mine.py:part", {})(4) == 20
    edit(folder / "common_3.py", "0", "7")
    assert parts.find("loss", "nets/mine.py:part", {})(4) == 27
    assert first(4) == 12
    assert set(parts.texts("nets/mine.py:part")) == {"mine.py", "beside_1.py", "common_3.py"}


def test_a_module_that_was_imported_before_runs_as_it_is_now(folder):
    package = folder / "own_package_4"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "deep.py").write_text("from own_package_4.terms import scale\ndef part(x):\n    return scale * x\n")
    (package / "terms.py").write_text("scale = 2\n")
    (package / "other.py").write_text("x = 1\n")
    with parts.importable():
        import own_package_4.other
        from own_package_4.deep import part
    edit(package / "terms.py", "2", "3")
    assert parts.find("loss", "own_package_4.deep:part", {})(1) == 3
    edit(package / "terms.py", "3", "4")
    again = parts.find("loss", "own_package_4.deep:part", {})
    assert again(1) == 4
    assert parts.find("loss", "own_package_4.deep:part", {}) is again
    assert part(1) == 2
    with parts.importable():
        import own_package_4.other

        assert own_package_4.other.x == 1
    edit(folder / "own_module_2.py", "2", "6")
    assert parts.find("loss", "own_module_2:part", {})(1) == 6


def test_files_of_one_name_in_different_folders_are_not_taken_for_each_other(folder):
    (folder / "losses").mkdir()
    (folder / "losses" / "beside_1.py").write_text("scale = 8\n")
    (folder / "losses" / "mine.py").write_text((folder / "nets" / "mine.py").read_text())
    for _ in range(2):
        assert parts.find("loss", "nets/mine.py:part", {})(1) == 3
        assert parts.find("loss", "losses/mine.py:part", {})(1) == 8


def test_a_part_that_is_held_is_the_same_whatever_becomes_of_its_files(folder):
    with parts.held():
        first = parts.find("loss", "nets/mine.py:part", {}), parts.find("loss", "own_module_2:part", {})
        texts = parts.texts("nets/mine.py:part")
        edit(folder / "nets" / "beside_1.py", "3", "9")
        edit(folder / "own_module_2.py", "2", "9")
        with parts.held():
            assert (parts.find("loss", "nets/mine.py:part", {}), parts.find("loss", "own_module_2:part", {})) == first
        assert parts.texts("nets/mine.py:part") == texts
    assert parts.texts("nets/mine.py:part") != texts
    assert parts.find("loss", "nets/mine.py:part", {})(1) == 9
    assert parts.find("loss", "own_module_2:part", {})(1) == 9


def test_a_part_of_the_module_that_was_started_has_no_text():
    with pytest.raises(UsageError, match="the module __main__ is in no file that can be found again"):
        parts.texts("__main__:part")


def test_a_part_of_the_interpreter_or_an_installed_package_is_not_imported_anew(folder):
    import statistics

    assert parts.find("measure", "statistics:mean", {}) is statistics.mean
    assert parts.find("optimizer", "optax:adam", {}) is optax.adam
    assert set(parts.texts("statistics:mean")) == {"statistics.py"}
    assert {name.partition("/")[0] for name in parts.texts("optax:adam")} == {"optax"}


def test_a_part_of_the_package_is_read_once_while_parts_are_held(folder, monkeypatch):
    name, asked = "ordinal_blast.study.cell:train", []
    alone = parts.texts(name)
    files = source_text.files

    def counted(place, *rest):
        asked.append(place)
        return files(place, *rest)

    monkeypatch.setattr(source_text, "files", counted)
    with parts.held():
        assert parts.texts(name) == parts.texts(name) == alone
    assert asked == ["ordinal_blast.study.cell"]
