"""Work that cells share, done once and named by its content: what it was made from and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ordinal_blast.storage import digest, read_json, write_json


def stage(root: Path, name: str, key: Mapping[str, Any], build: Callable[[Path], Mapping[str, Any]]) -> Path:
    """The folder `root/stages/NAME-HASH` of the stage with this key, built unless it is finished.

    The key holds all that the stage is made of (settings, data, code): made of something else, it lies elsewhere.
    build(folder) does the work, may resume what an earlier sitting left there, and returns facts to keep;
    `stage.json` with key and facts is written last, so that its presence means the stage is whole.
    """
    folder = root / "stages" / f"{name}-{digest(key)}"
    if not (folder / "stage.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        facts = build(folder)
        write_json(folder / "stage.json", {"key": key, "facts": facts})
    return folder


def facts(folder: Path) -> Mapping[str, Any]:
    """What the build of a finished stage returned."""
    return read_json(folder / "stage.json", ("key", "facts"))["facts"]
