"""Which source files a part is made of, with their digests: its own file, and what that imports, to the end."""

from __future__ import annotations

import ast
import functools
import importlib.util
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ordinal_blast.storage import file_digest

_INSTALLED = ("site-packages", "dist-packages")


def files(module: str, counts: Callable[[str], bool] = lambda name: True) -> dict[str, str]:
    """The digest of each source file of a module that can be imported, by its path below its import folder.

    Those are its own file and the files that it and they import, as far as their `import` statements say and within its
    own package, or for a single file within its folder. `counts` says which modules do; installed packages beside it
    never do. Empty for a part of the interpreter itself.
    """
    found = importlib.util.find_spec(module)
    if found is None or not found.has_location:
        return {}
    origin = Path(found.origin).resolve()
    folder = origin.parents[module.count(".") + (origin.name == "__init__.py")]
    alone = "." not in module and origin.name != "__init__.py" and folder.name not in _INSTALLED
    made: dict[str, str] = {}
    waiting = list(_lineage(module))
    while waiting:
        name = waiting.pop()
        path = _locate(folder, name)
        key = path and path.relative_to(folder).as_posix()
        if path is None or key in made or not counts(name) or not (alone or _top(name) == _top(module)):
            continue
        made[key] = file_digest(path)
        if path.suffix == ".py":
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            waiting += _imports(path, path.stat().st_mtime_ns, package)
    return made


def _top(module: str) -> str:
    return module.partition(".")[0]


def _locate(folder: Path, module: str) -> Path | None:
    """The file of a module below its import folder, if it lies there."""
    place = folder.joinpath(*module.split("."))
    compiled = sorted(place.parent.glob(f"{place.name}.*.so")) if place.parent.is_dir() else ()
    candidates = (place / "__init__.py", place.with_name(f"{place.name}.py"), *compiled)
    return next((path for path in candidates if path.is_file()), None)


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
            above = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from _lineage(base)
            for alias in node.names:  # a name may be a module or something in one
                yield f"{base}.{alias.name}"


def _lineage(module: str) -> Iterator[str]:
    """The packages that a module lies in, whose `__init__` runs first, and the module."""
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        yield ".".join(parts[:end])
