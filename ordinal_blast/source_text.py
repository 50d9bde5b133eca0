"""Which source files a part is made of, with their digests: its own file, and what that imports, to the end."""

from __future__ import annotations

import ast
import functools
import importlib.util
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ordinal_blast.storage import file_digest

_INSTALLED = ("site-packages", "dist-packages")


def files(module: str | Path, counts: Callable[[str], bool] = lambda name: True) -> dict[str, str]:
    """The digest of each source file of a module, by its path below its import folder.

    module: one that can be imported, or a file. Those files are its own and the ones that it and they import, as far as
    their `import` statements say and within its own package, or for a single file within its folder. `counts` says
    which modules do; installed packages beside it never do. Empty for a part of the interpreter itself, and for a file
    that is not there.
    """
    if isinstance(module, Path):
        origin, name, alone = module.resolve(), module.stem, True
        folder = origin.parent
    else:
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None or not spec.has_location:
            return {}
        origin, name = Path(spec.origin).resolve(), module
        folder = origin.parents[module.count(".") + (origin.name == "__init__.py")]
        alone = "." not in module and origin.name != "__init__.py" and folder.name not in _INSTALLED
    if not origin.is_file():
        return {}
    digests: dict[str, str] = {}
    waiting = [(parent, _locate(folder, parent)) for parent in _lineage(name)[:-1]] + [(name, origin)]
    while waiting:
        name, path = waiting.pop()
        if path is None or not counts(name) or not (alone or _top(name) == _top(str(module))):
            continue
        key = path.relative_to(folder).as_posix()
        if key in digests:
            continue
        digests[key] = file_digest(path)
        if path.suffix == ".py":
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            waiting += [(other, _locate(folder, other)) for other in _imports(path, path.stat().st_mtime_ns, package)]
    return digests


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


def _lineage(module: str) -> list[str]:
    """The packages that a module lies in, whose `__init__` runs first, and the module."""
    names = module.split(".")
    return [".".join(names[:end]) for end in range(1, len(names) + 1)]
