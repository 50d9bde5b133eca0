"""What a cell or a shared stage is made of beside its settings: its data, and the source text that makes numbers."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ordinal_blast import objectives
from ordinal_blast.data import sources
from ordinal_blast.data.store import Dataset
from ordinal_blast.storage import digest, file_digest

_PACKAGE = __name__.partition(".")[0]
_ROOMS = (
    "objectives",
    "models",
    "data",
    "training",
    "types",
)  # report, evaluation and the command line make no numbers
_STUDY = ("cell", "chain", "cropper", "problems", "timelapse")
_INSTALLED = ("site-packages", "dist-packages")


def of_data(dataset: Dataset) -> str:
    """12 hex digits of what a dataset says it is and of its columns in memory: ids, groups, labels, small inputs."""
    content = hashlib.sha256()
    for name, column in sorted(dataset.columns.items()):
        if isinstance(column, np.ndarray):
            content.update(f"{name} {column.dtype.str} {column.shape}\n".encode())
            content.update(column.tobytes())
    return digest([dataset.identity, content.hexdigest()])


def of_code(config: Any, objective: bool = True) -> dict[str, str]:
    """The digest of every source file that makes the numbers of a configuration, by its path below its import folder.

    Those are the files that its chain, its objective (unless `objective` is False) and its data source import, as far
    as their `import` statements say: of this package the rooms that make numbers, of a part from outside its file and
    what that imports of its own package, or for a single file of the files beside it. Installed packages count by
    version, which a result records and nobody compares.
    """
    parts = [f"{_PACKAGE}.study.cell" if objective else f"{_PACKAGE}.study.timelapse", _source(config.data.source)]
    parts += [_objective(config.objective.name)] if objective else []
    found: dict[str, str] = {}
    for part in parts:
        found |= of_module(part)
    return dict(sorted(found.items()))


def of_module(module: str) -> dict[str, str]:
    """The digest of a module's source file, and of what it imports of its own package or folder, by path."""
    return {name: file_digest(path) for path, name in _files(module).items()}


def differing(theirs: Mapping[str, str], ours: Mapping[str, str]) -> list[str]:
    """The files, by name, whose text is not the same in both."""
    return [name for name in sorted({*theirs, *ours}) if theirs.get(name) != ours.get(name)]


def _objective(name: str) -> str:
    return name.partition(":")[0] if ":" in name else objectives.functions()[name].__module__


def _source(name: str) -> str:
    return name.partition(":")[0] if ":" in name else f"{sources.__name__}.{name}"


def _files(module: str) -> dict[Path, str]:
    """The files of a module and of what it imports, to the end, within its own package or folder, with their names."""
    found = importlib.util.find_spec(module)
    if found is None or not found.has_location:  # a part that is no file (a module of the interpreter) has no text
        return {}
    origin = Path(found.origin).resolve()
    folder = origin.parents[module.count(".") + (origin.name == "__init__.py")]
    alone = "." not in module and origin.name != "__init__.py"
    top = None if alone and folder.name not in _INSTALLED else module.partition(".")[0]
    files: dict[Path, str] = {}
    waiting = list(_lineage(module))
    while waiting:
        name = waiting.pop()
        path = _locate(folder, name)
        if path is None or path in files or (top and name.partition(".")[0] != top) or not _counts(name):
            continue
        files[path] = path.relative_to(folder).as_posix()
        if path.suffix == ".py":
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            waiting += _imports(path, path.stat().st_mtime_ns, package)
    return files


def _counts(module: str) -> bool:
    """Whether a module of this package makes numbers; those of others always count."""
    package, _, rest = module.partition(".")
    if package != _PACKAGE:
        return True
    room, _, inside = rest.partition(".")
    return room in _ROOMS or (room == "study" and inside in _STUDY)


def _locate(folder: Path, module: str) -> Path | None:
    """The file of a module below its import folder, if it lies there."""
    place = folder.joinpath(*module.split("."))
    candidates = (place / "__init__.py", place.with_name(f"{place.name}.py"))
    compiled = place.parent.glob(f"{place.name}.*.so") if place.parent.is_dir() else ()
    return next((path for path in (*candidates, *compiled) if path.is_file()), None)


@functools.lru_cache(maxsize=1024)
def _imports(path: Path, changed: int, package: str) -> tuple[str, ...]:
    """The modules that a file imports, by what its `import` statements could mean. changed: when it was."""
    return tuple(dict.fromkeys(_named(ast.walk(ast.parse(path.read_bytes())), package)))


def _named(nodes: Iterable[ast.AST], package: str) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _lineage(alias.name)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from _lineage(base)
            for alias in node.names:  # a name may be a module or something in one
                yield f"{base}.{alias.name}" if base else alias.name


def _lineage(module: str) -> Iterator[str]:
    """A module after the packages it lies in, whose `__init__` runs first."""
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        yield ".".join(parts[:end])
