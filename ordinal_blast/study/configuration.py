"""Configurations: Python files with `get_config()`, overrides checked against them, nothing hidden outside."""

from __future__ import annotations

import ast
import contextlib
import difflib
import os.path
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from ml_collections import ConfigDict

from ordinal_blast.errors import UsageError, UserError, told
from ordinal_blast.study import limits

_FREE = ("objective.options",)  # sections that take any key; what reads them checks the keys


def find(name: str, folder: str = "configs") -> Path:
    """The Python file `name`, or the copy that comes with the package, so that README commands work in any folder.

    A name alone, such as `retinamnist`, means `configs/retinamnist.py`. Raises UsageError that lists what there is.
    """
    given, home = Path(name), _home()
    listed = Path(folder, given.name.removesuffix(".py") + ".py") if given.parent == Path() else given
    places = [given, listed, *([home / listed] if listed.parent == Path(folder) else [])]
    for place in places:
        if place.suffix == ".py" and os.path.isfile(place):
            return place
    kind = "is a folder, not a file" if name and os.path.isdir(name) else ""
    kind = kind or ("is no Python file" if os.path.isfile(name) else "")
    there = ", ".join(sorted(f"{folder}/{path.name}" for path in (home / folder).glob("*.py")))
    said = f"{name:.200} {kind}" if kind else f"there is no file {name or repr(name):.200}"
    raise UsageError(f"{said}; there are {there}")


def load_module(name: str, folder: str = "configs") -> ModuleType:
    """Run the Python file `name` (see `find`) as a module; files beside it can be imported by their plain names."""
    path = find(name, folder)
    module = ModuleType(f"ordinal_blast_file_{path.stem}")
    module.__file__ = str(path)
    sys.path.insert(0, str(path.parent))
    try:
        with blamed(f"cannot run {path}"):  # from its text: a cached copy may be older than an edit in the same second
            exec(compile(path.read_bytes(), str(path), "exec", dont_inherit=True), vars(module))
    finally:
        sys.path.remove(str(path.parent))
    return module


@contextlib.contextmanager
def blamed(what: str) -> Iterator[None]:
    """Whatever a user's code raises in this block, `exit()` too, becomes one UsageError that begins with `what`."""
    try:
        yield
    except (UserError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise UsageError(f"{what}: {told(error)}") from error


def load(name: str, overrides: Mapping[str, Any] | None = None) -> ConfigDict:
    """The configuration `get_config()` of a file, with dotted overrides, locked.

    Raises UsageError for a file that makes no configuration, lacks a setting, or has one outside its range.
    """
    module = load_module(name)
    if not callable(getattr(module, "get_config", None)):
        raise UsageError(f"{name} has no get_config(): it is not a configuration")
    with blamed(f"{name}: get_config() raised"):
        config = module.get_config()
        if not isinstance(config, ConfigDict):
            raise UsageError(
                f"{name}: get_config() returns {type(config).__name__}: it has to return a ConfigDict of ml_collections"
            )
        flat(config)  # what holds itself has no end, and raises here
        config = override(config, {})
    config = override(config, overrides or {})
    limits.check(flat(config), name)
    return config


def override(config: ConfigDict, changes: Mapping[str, Any]) -> ConfigDict:
    """A copy of `config` with `{"a.b": value}` applied; text is read as the type that stands there.

    Raises UsageError for a key that does not exist (naming the nearest ones) or a value of another type.
    """
    config = ConfigDict(config.to_dict(), convert_dict=True)
    for key, value in changes.items():
        *parents, leaf = key.split(".")
        section = config
        for parent in parents:
            if parent not in section or not isinstance(section[parent], ConfigDict):
                raise UsageError(_unknown(config, key))
            section = section[parent]
        free = leaf and ".".join(parents) in _FREE
        if leaf not in section and not free:
            raise UsageError(_unknown(config, key))
        with section.unlocked():
            value = _read(value) if leaf not in section else _convert(key, value, section[leaf])
            section[leaf] = _sections(key, value)
    config.lock()
    return config


def parse_overrides(arguments: list[str]) -> dict[str, str]:
    """`--config.a.b=v` and `--config.a.b v` as `{"a.b": "v"}`; raises UsageError for anything else."""
    changes, rest = {}, list(arguments)
    while rest:
        argument = rest.pop(0)
        if not argument.startswith("--config."):
            raise UsageError(
                f"unknown argument {argument}: overrides look like --config.a.b=value, --help lists the rest"
            )
        key, equals, value = argument.removeprefix("--config.").partition("=")
        if not equals:
            if not rest:
                raise UsageError(f"{argument} lacks a value: write {argument}=value")
            value = rest.pop(0)
        changes[key] = value
    return changes


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every leaf of a configuration under its dotted key."""
    result: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping | ConfigDict) and len(value):
            result |= flat(value, f"{prefix}{key}.")
        else:
            result[f"{prefix}{key}"] = value
    return result


def plain(config: Any) -> Any:
    """A configuration or a section of it as dicts, lists and scalars, ready for JSON and hashing."""
    if isinstance(config, ConfigDict | Mapping):
        return {key: plain(value) for key, value in sorted(config.items())}
    if isinstance(config, list | tuple):
        return [plain(value) for value in config]
    return config


def _home() -> Path:
    """The folder of the configurations and ablations that come with the package: installed with it, or the checkout."""
    package = Path(__file__).resolve().parents[1]
    return package / "shipped" if (package / "shipped").is_dir() else package.parent


def _unknown(config: ConfigDict, key: str) -> str:
    known = list(flat(config))
    near = difflib.get_close_matches(key, known, n=3, cutoff=0.5) or [
        k for k in known if k.startswith(key.split(".")[0])
    ]
    return f"the configuration has no {key or repr(key)}: did you mean {' or '.join((near or known)[:3])}?"


def _convert(key: str, value: Any, current: Any) -> Any:
    value = _read(value) if not isinstance(current, str) else value
    if isinstance(current, bool):
        fits = isinstance(value, bool)
    elif isinstance(current, float):
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        fits = fits and abs(value) <= sys.float_info.max  # or `float` would not take it
        value = float(value) if fits else value
    elif isinstance(current, tuple):
        value = (value,) if isinstance(value, str) else value
        fits = isinstance(value, tuple | list)
        value = tuple(value) if fits else value
    elif isinstance(current, ConfigDict):
        fits = isinstance(value, Mapping | ConfigDict)
    else:
        fits = isinstance(value, type(current)) and not isinstance(value, bool)
    if not fits:
        wanted = (
            "section of settings"
            if isinstance(current, ConfigDict)
            else f"{type(current).__name__}, such as {current!r}"
        )
        raise UsageError(f"{key} is {value!r:.100}: it takes a {wanted}")
    return value


def _sections(key: str, value: Any) -> Any:
    """A value whose mappings are sections, with texts as keys; raises UsageError for other keys."""
    if not isinstance(value, Mapping | ConfigDict):
        return value
    if wrong := [name for name in value if not isinstance(name, str) or not name or "." in name]:
        raise UsageError(f"{key} has the key {wrong[0]!r}: keys are texts without dots")
    return ConfigDict({name: _sections(f"{key}.{name}", each) for name, each in value.items()})


def _read(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = {"true": "True", "false": "False"}.get(value.lower(), value)
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):  # all that literal_eval is known to raise
        return value
