"""Work that cells share, done once and named by its content: what it was made from and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ordinal_blast.errors import UsageError
from ordinal_blast.storage import digest, jsonable, read_json, remove_leftovers, write_json

_FILE = "stage.json"


def stage(
    root: Path,
    name: str,
    key: Mapping[str, Any],
    settings: Mapping[str, Any],
    build: Callable[[Path], Mapping[str, Any]],
) -> Path:
    """The folder `root/stages/NAME-HASH` of the stage with this key, built unless it is finished.

    The key holds all that the stage is made of (settings that are not at their defaults, data, code): made of something
    else, it lies elsewhere. settings: all of its section. build(folder) does the work, may resume what an earlier
    sitting left there, and returns facts to keep; `stage.json` is written last, so that its presence means the stage is
    whole. Raises UsageError where a setting had another default when it was built.
    """
    folder = root / "stages" / f"{name}-{digest(key)}"
    if not (folder / _FILE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder, [_FILE])
        facts = build(folder)
        write_json(folder / _FILE, {"key": key, "settings": settings, "facts": facts})
    built, now = _read(folder)["settings"], jsonable(settings)
    if moved := [setting for setting in now if setting in built and built[setting] != now[setting]]:
        was, default = built[moved[0]], now[moved[0]]
        raise UsageError(
            f"{folder} was built with {name}.{moved[0]}={was!r}, which is {default!r} by default now: use another "
            "--workdir, or delete that folder"
        )
    return folder


def is_finished(folder: Path) -> bool:
    """Whether a stage was built in the folder, to the end."""
    return (folder / _FILE).is_file()


def facts(folder: Path) -> Mapping[str, Any]:
    """What the build of a finished stage returned."""
    return _read(folder)["facts"]


def _read(folder: Path) -> Mapping[str, Any]:
    return read_json(folder / _FILE, ("key", "settings", "facts"))
