"""How the package is built: imports point one way, a name stands for one thing, and functions take what they read."""

import ast
import collections
import graphlib
from pathlib import Path

import pytest

import ordinal_blast

PACKAGE = Path(ordinal_blast.__file__).parent
ROOMS = (
    *("errors", "locks", "ranges", "resident", "types", "storage", "seeds", "source_text", "parts", "schema"),
    *("kinds", "settings"),
    *(
        "manual",
        "question",
        "record",
        "objectives",
        "models",
        "data",
        "training",
        "evaluation",
        "study",
        "report",
        "embryo",
    ),
    *("api", "sklearn", "bench", "command_line", "cli"),
)
FILES = {path.relative_to(PACKAGE): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
MODULES = {".".join(path.with_suffix("").parts).removesuffix(".__init__"): tree for path, tree in FILES.items()}
STUDY = [
    pytest.param(function, id=f"{name}.{function.name}")
    for name, tree in MODULES.items()
    if name.startswith("study.")
    for function in ast.walk(tree)
    if isinstance(function, ast.FunctionDef)
]
EMPTY_WORDS = {"link", "given", "made", "found", "told", "each"}


def imports(tree):
    """The modules of the package that are imported anywhere in a file, without the package itself."""
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{name}" for name in names]
        for name in names:
            parts = name.split(".")[1:] if name.startswith("ordinal_blast.") else []
            yield from [".".join(parts[:n]) for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in MODULES][:1]


def parameters(function):
    arguments = function.args
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]


def test_imports_point_one_way():
    assert {name.split(".")[0] for name in MODULES} - {"__init__"} == set(ROOMS)
    for name, tree in MODULES.items():
        room = name.split(".")[0]
        later = ROOMS[ROOMS.index(room) + 1 :] if room in ROOMS else ()
        assert [other for other in imports(tree) if other.split(".")[0] in later] == [], name


def test_no_two_files_need_each_other():
    graph = {name: set(imports(tree)) - {name} for name, tree in MODULES.items() if name != "__init__"}
    graph["report.compare"].remove("report.page")  # a study writes its page, which is made from studies
    graph["objectives.registry"].remove("objectives")  # the losses that have a name are those that the room exports
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) == len(graph)


def test_files_have_names_of_their_own():
    names = collections.Counter(path.name for path in FILES if path.name not in ("__init__.py", "__main__.py"))
    assert [name for name, count in names.items() if count > 1] == []


def test_a_study_knows_no_embryo():
    for path in (PACKAGE / "study").glob("*.py"):
        assert not {"embryo", "heartbeat", "dice", "frame", "crop"} & set(path.read_text().lower().split()), path


def test_names_are_nouns_of_the_field():
    for name, tree in MODULES.items():
        words = EMPTY_WORDS - ({"link"} if name.startswith("objectives") else set())  # of a cumulative link model
        for node in ast.walk(tree):
            stored = getattr(node, "id", "") if isinstance(getattr(node, "ctx", None), ast.Store) else ""
            names = [stored, getattr(node, "arg", None), getattr(node, "attr", ""), getattr(node, "name", None)]
            assert not words & {word for text in names for word in (text or "").lower().split("_")}, (name, node.lineno)


@pytest.mark.parametrize("function", STUDY)
def test_a_function_of_a_study_takes_what_it_reads(function):
    for parameter in parameters(function):
        hint = ast.unparse(parameter.annotation) if parameter.annotation else ""
        assert "Any" not in hint.replace("[str, Any]", ""), f"{parameter.arg}: {hint}"
        if hint != "Settings":
            continue
        names = [node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == parameter.arg]
        fields = {
            node.value: node.attr
            for node in ast.walk(function)
            if isinstance(node, ast.Attribute) and node.value in names
        }
        handed_on = len(fields) < len(names)
        assert handed_on or len(set(fields.values())) > 1, f"of {parameter.arg} it reads {fields.values()} alone"
