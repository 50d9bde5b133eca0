"""The one resolver: every part that can be replaced is named in the same three ways, and found here.

    "xception"                      what the package has under that name
    "my_package.my_file:MyNetwork"  anything that can be imported
    "my_folder/my_file.py:MyNet"    anything in a file, which needs to be in no package

A part from outside is code: finding it runs its module.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import difflib
import importlib
import inspect
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from ordinal_blast import ranges, source_text
from ordinal_blast.errors import UsageError, UserError, one_line
from ordinal_blast.ranges import Range
from ordinal_blast.storage import file_digest

_PACKAGE = __name__.partition(".")[0]
_FOLDER: contextvars.ContextVar[Path | None] = contextvars.ContextVar("folder", default=None)
_HELD: contextvars.ContextVar[_Held | None] = contextvars.ContextVar("held", default=None)


class _Held(NamedTuple):
    """What a block has found, by the places of parts: modules from outside, and the digests of the files of any."""

    modules: dict[str, ModuleType]
    texts: dict[str, dict[str, str]]


_loaded: dict[tuple[Any, ...], ModuleType] = {}
_ran: dict[Path, str] = {}  # the digest of each file of a part, as it was when this process ran it


def find(kind: str, name: str, known: Mapping[str, Any]) -> Any:
    """The part of a kind, such as "network", by its name; `known` are those of the package.

    A value of `known` is the part itself or the text "package.module:thing" where it is. Raises UsageError that lists
    what there is, or says why a part from outside cannot be had.
    """
    if ":" in name:
        return _outside(kind, name)
    if name not in known:
        near = " or ".join(difflib.get_close_matches(name, known, n=3))
        there = f"there are {', '.join(sorted(known))}, or one of your own" if known else "it takes one of your own"
        raise UsageError(
            f"{kind} is {name!r}{f' (did you mean {near}?)' if near else ''}: {there} as package.module:thing or "
            "path/file.py:thing"
        )
    part = known[name]
    return _outside(kind, part) if isinstance(part, str) else part


def is_outside(name: str) -> bool:
    """Whether a name means code that is not of this package."""
    return ":" in name and not name.startswith(f"{_PACKAGE}.")


@contextlib.contextmanager
def from_folder(folder: Path) -> Iterator[None]:
    """In this block, files and modules of one's own are looked for in `folder` rather than in the present one."""
    token = _FOLDER.set(folder.absolute())
    try:
        with _importable(folder.absolute()):
            yield
    finally:
        _FOLDER.reset(token)


@contextlib.contextmanager
def importable() -> Iterator[None]:
    """In this block, modules of one's own can be imported by their plain names."""
    with _importable(_folder()):
        yield


@contextlib.contextmanager
def held() -> Iterator[None]:
    """In this block, a part that is found again is the same, whatever becomes of its files meanwhile."""
    token = _HELD.set(_HELD.get() or _Held({}, {}))
    try:
        yield
    finally:
        _HELD.reset(token)


def texts(name: str, counts: Callable[[str], bool] = lambda name: True) -> dict[str, str]:
    """The digest of every source file of a part (see `source_text.files`); where it is held, of what runs.

    A block that holds parts reads each once, whatever `counts`, which tells apart modules of this package alone.
    """
    place = locate(name) or name.rpartition(":")[0]
    texts = {} if (held := _HELD.get()) is None else held.texts
    if str(place) not in texts:
        with importable():
            texts[str(place)] = source_text.files(place, counts, _folder())
    return texts[str(place)]


def locate(name: str) -> Path | None:
    """The file of a part that is named by its file; None for one that is imported. The file need not exist."""
    place = name.rpartition(":")[0]
    return _folder() / Path(place).expanduser() if place.endswith(".py") else None


def load_file(path: Path) -> ModuleType:
    """Run a Python file as a module, once for every text of it and of what it imports from its folder.

    Files beside it can be imported by their plain names. Raises UsageError for a file that is not there or does not
    run, whatever it raises.
    """
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    modules = source_text.own(path, _folder())
    key = (path.absolute(), *sorted((str(file), file_digest(file)) for file in modules.values()))
    if key not in _loaded:
        module = ModuleType(f"ordinal_blast_file_{path.stem}_{abs(hash(key)):x}")
        module.__file__ = str(path)
        sys.modules[module.__name__] = module  # where dataclasses and pickles look it up
        try:
            with _importable(path.absolute().parent, first=True), blamed(f"cannot run {path}"), _anew(modules):
                exec(compile(path.read_bytes(), str(path), "exec", dont_inherit=True), vars(module))
        except BaseException:
            del sys.modules[module.__name__]
            raise
        _loaded[key] = module
    return _loaded[key]


@contextlib.contextmanager
def blamed(what: str) -> Iterator[None]:
    """Whatever a user's code raises in this block, `exit()` too, becomes one UsageError that begins with `what`."""
    try:
        yield
    except (UserError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise UsageError(f"{what}: {one_line(error)}") from error


@dataclasses.dataclass(frozen=True)
class Bound:
    """A part with its options, to be called with what else it takes: hashable, and equal to another of the same."""

    part: Callable[..., Any]
    options: Mapping[str, Any]

    def __call__(self, *arguments: Any, **more: Any) -> Any:
        """Call the part."""
        return self.part(*arguments, **self.options, **more)

    def __hash__(self) -> int:
        return hash((self.part, *sorted(self.options)))  # options may be lists and mappings; equality compares them


def check_options(part: Callable[..., Any], options: Mapping[str, Any], where: str, *positional: Any) -> None:
    """Raise UsageError that begins with `where` unless `part(*positional, **options)` can be called.

    Each value has to be what the annotation of its parameter says, where that is a plain type, a tuple of one, or has
    a Range.
    """
    try:
        called = signature(part)
    except (TypeError, ValueError):  # some callables of C have none
        return
    takes = [parameter.name for parameter in options_of(part)][len(positional) :]
    for option in options:
        if option not in takes and not open_ended(part):
            near = " or ".join(difflib.get_close_matches(option, takes, n=3)) or ", ".join(takes) or "no options"
            raise UsageError(f"{where} has no {option}: it takes {near}")
    try:
        called.bind(*positional, **options)
    except TypeError as error:
        raise UsageError(f"{where}: {error}") from error
    for option, allowed in stated(part).items():
        if option in options:
            ranges.check(f"{where}.{option}", options[option], allowed)


def signature(part: Callable[..., Any]) -> inspect.Signature:
    """How a part is called: a class as its `__init__` says, even where its metaclass would take anything."""
    if inspect.isclass(part) and type(part).__call__ is not type.__call__:
        of_init = inspect.signature(part.__init__)
        return of_init.replace(parameters=list(of_init.parameters.values())[1:])
    return inspect.signature(part)


def open_ended(part: Callable[..., Any]) -> bool:
    """Whether a part takes options of any name."""
    return any(parameter.kind == parameter.VAR_KEYWORD for parameter in signature(part).parameters.values())


def options_of(part: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of a part that settings can give."""
    own = ("parent", "name") if inspect.isclass(part) else ()  # of a module, which are not for settings
    named = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = signature(part).parameters.values()
    return [one for one in parameters if one.kind in named and one.name not in ("self", *own)]


def stated(part: Callable[..., Any]) -> dict[str, Range]:
    """What the annotations of a part's parameters say of their values; those that say nothing are left out."""
    return {name: allowed for name, hint in hints(part).items() if (allowed := range_of(hint))}


def hints(part: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a part's parameters, as far as they can be evaluated."""
    try:
        return typing.get_type_hints(part.__init__ if inspect.isclass(part) else part, include_extras=True)
    except Exception:  # hints that only a type checker can read say nothing here
        return {}


_PLAIN = {bool: ranges.FLAG, int: ranges.WHOLE, float: ranges.number(), str: ranges.TEXT}


def range_of(hint: Any) -> Range | None:
    """The values that a hint speaks of: a plain type, a tuple of one, a Literal, or what `Annotated` says of it."""
    for part in getattr(hint, "__metadata__", ()):
        if isinstance(part, Range):
            return part
    if typing.get_origin(hint) is typing.Literal:
        return ranges.one_of(*typing.get_args(hint))
    if typing.get_args(hint)[1:] == (...,):  # tuple[X, ...]
        inner = range_of(typing.get_args(hint)[0])
        return ranges.list_of(inner, empty=True) if inner else None
    return _PLAIN.get(hint)


def _outside(kind: str, name: str) -> Any:
    place, _, thing = name.rpartition(":")
    with blamed(f"{kind} is {name}"):
        module = _module(kind, name)
    if not callable(part := getattr(module, thing, None)):
        there = [n for n, v in vars(module).items() if callable(v) and getattr(v, "__module__", "") == module.__name__]
        raise UsageError(f"{kind} is {name}: {place} has no {thing} to call; it has {', '.join(there) or 'nothing'}")
    return part


def _module(kind: str, name: str) -> ModuleType:
    """The module of a part, by what its files say now unless it is held."""
    place, path, held = name.rpartition(":")[0], locate(name), _HELD.get()
    key = str(path or place)
    if held is not None and key in held.modules:
        return held.modules[key]
    if path is not None and not path.is_file():
        raise UsageError(f"{kind} is {name}: there is no file {path}")
    with importable():
        if place.startswith(f"{_PACKAGE}."):
            return importlib.import_module(place)
        if held is not None:
            held.texts[key] = source_text.files(path or place, present=_folder())
        if path is not None:
            module = load_file(path)
        else:
            with _anew(source_text.own(place, _folder())):
                module = importlib.import_module(place)
    if held is not None:
        held.modules[key] = module
    return module


@contextlib.contextmanager
def _anew(modules: Mapping[str, Path]) -> Iterator[None]:
    """For this block, which imports these modules, forget those that this process has imported, unless all of them are
    what their files say now: Python would run the old text of an edited file, or of one of the same name elsewhere.
    """
    texts = {path: file_digest(path) for path in modules.values()}
    there = {name: _file(sys.modules[name]) for name in modules if name in sys.modules}
    current = all(_ran.get(path) == text for path, text in texts.items())
    elsewhere = any(path != modules[name] and path in _ran for name, path in there.items())
    if not current or elsewhere:
        ours, tops = {*_ran, *texts}, {name.partition(".")[0] for name in modules}
        for name, module in list(sys.modules.items()):
            top = name.partition(".")[0]
            if top in tops and not {_file(module), _file(sys.modules.get(top))}.isdisjoint(ours):
                del sys.modules[name]
        importlib.invalidate_caches()
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # an edit within a second could run a cached copy
    try:
        yield
    finally:
        sys.dont_write_bytecode = written
    _ran.update(texts)


def _file(module: ModuleType | None) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if isinstance(file, str) else None


def _folder() -> Path:
    try:
        return _FOLDER.get() or Path.cwd()
    except OSError as error:
        raise UserError("the present folder is gone: change to one that exists") from error


@contextlib.contextmanager
def _importable(folder: Path, first: bool = False) -> Iterator[None]:
    """In this block, modules of `folder` can be imported."""
    entry = str(folder)
    if entry in sys.path:
        yield
        return
    sys.path.insert(0 if first else len(sys.path), entry)
    try:
        yield
    finally:
        if entry in sys.path:
            sys.path.remove(entry)
