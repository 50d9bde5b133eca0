"""Which source files a part is made of, with their digests: its own file, and what that imports, to the end."""

from __future__ import annotations

import ast
import functools
import glob
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

from ordinal_blast.errors import UsageError, one_line
from ordinal_blast.storage import file_digest

_PACKAGE = __name__.partition(".")[0]
_INSTALLED = ("site-packages", "dist-packages")


def files(
    module: str | Path,
    counts: Callable[[str], bool] = lambda name: True,
    present: Path | None = None,
) -> dict[str, str]:
    """The digest of each source file of a module, by its path below its import folder.

    module: one that can be imported, or a file. Those files are its own and the ones that it and they import, as far as
    their `import` statements say, and as they lie within its own package where that is installed, else within its
    folder or the `present` one, without this package. `counts` says which modules do. Empty for a part of the
    interpreter itself, and for a file that is not there. Raises UsageError for one that is no Python, or a module that
    was made in no file.
    """
    return {key: file_digest(path) for key, _, path in _closure(module, counts, present)}


def own(module: str | Path, present: Path | None = None) -> dict[str, Path]:
    """Those files by the names of their modules; none for a module that is installed, which nobody edits."""
    if isinstance(module, str) and _spec(module) is None:
        return {}
    start = _start(module)
    if start is None or _is_installed(start[0]):
        return {}
    return {name: path for _, name, path in _closure(module, lambda name: True, present)}


def _start(module: str | Path) -> tuple[Path, str, Path] | None:
    """The import folder, the name and the file of a module; None where it has no file."""
    if isinstance(module, Path):
        origin = module.resolve()
        return (origin.parent, module.stem, origin) if origin.is_file() else None
    spec = _spec(module)
    if spec is None and module in sys.modules:  # such as that of a notebook
        raise UsageError(f"the module {module} is in no file that can be found again: put its parts in one")
    if spec is None or spec.origin is None or not spec.has_location:
        return None
    origin = Path(spec.origin).resolve()
    folder = origin.parents[module.count(".") + (origin.name == "__init__.py")]
    return (folder, module, origin) if origin.is_file() else None


def _spec(module: str) -> ModuleSpec | None:
    """Where a module would be imported from now, whatever was imported before; nothing is run to find it."""
    spec = None
    for name in _lineage(module) if _top(module) not in ("", "__main__") else ():
        path = spec and spec.submodule_search_locations
        finders = (finder.find_spec for finder in sys.meta_path if hasattr(finder, "find_spec"))
        spec = next((spec for find in finders if (spec := find(name, path))), None)
        if spec is None:
            break
    return spec


def _is_installed(folder: Path) -> bool:
    return folder.name in _INSTALLED or folder == Path(sysconfig.get_path("stdlib")).resolve()


def _closure(
    module: str | Path, counts: Callable[[str], bool], present: Path | None
) -> Iterator[tuple[str, str, Path]]:
    """The path below its import folder, the name and the file of every module that counts, see `files`."""
    start = _start(module)
    if start is None:
        return
    folder, name, origin = start
    top = _top(name)
    alone = _is_installed(folder) or top == _PACKAGE  # what lies beside it is of others
    folders = [folder, *([present.resolve()] if present and not alone else [])]
    waiting = [(parent, _locate(folders, parent)) for parent in _lineage(name)[:-1]] + [(name, origin)]
    seen: set[str] = set()
    while waiting:
        name, path = waiting.pop()
        of_others = _top(name) != top if alone else _top(name) == _PACKAGE
        if path is None or name in seen or of_others or not counts(name):
            continue
        seen.add(name)
        yield next(path.relative_to(one).as_posix() for one in folders if path.is_relative_to(one)), name, path
        if path.suffix == ".py":
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            waiting += [(other, _locate(folders, other)) for other in _imports(path, path.stat().st_mtime_ns, package)]


def _top(module: str) -> str:
    return module.partition(".")[0]


def _locate(folders: Iterable[Path], module: str) -> Path | None:
    """The file of a module below the first of these import folders where it lies."""
    for folder in folders:
        place = folder.joinpath(*module.split("."))
        compiled = sorted(place.parent.glob(f"{glob.escape(place.name)}.*.so")) if place.parent.is_dir() else ()
        candidates = (place / "__init__.py", place.with_name(f"{place.name}.py"), *compiled)
        if path := next((path for path in candidates if path.is_file()), None):
            return path
    return None


@functools.lru_cache(maxsize=1024)
def _imports(path: Path, changed: int, package: str) -> tuple[str, ...]:
    """The modules that a file imports, by what its `import` statements could mean. changed: when it was."""
    try:
        tree = ast.parse(path.read_bytes(), path.name)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"cannot run {path}: {one_line(error)}") from error
    return tuple(dict.fromkeys(_named(ast.walk(tree), package)))


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
