"""Data in memory: written to a file, and the settings that read it again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ordinal_blast.data.sheets import MISSING
from ordinal_blast.errors import UsageError
from ordinal_blast.storage import atomic, write_npz
from ordinal_blast.types import INPUTS, RATERS

_ARRAYS = ("x", *INPUTS, "group", "split", "id", "columns")


def save(folder: Path, data: Mapping[str, Any]) -> dict[str, Any]:
    """Write data in memory below `folder`; returns the settings that read it again, by dotted key.

    data: the arrays that the source `arrays` reads, where y may be a mapping by task, and any of its options beside
    them. Or a pandas frame as x, with options of the source `table`, such as `label`, the column of its grades; they
    may be in y instead. Where there is no split, groups are divided. Raises UsageError for what cannot be written.
    """
    if not isinstance(data, Mapping) or not {"x", *INPUTS} & data.keys():
        raise UsageError("data: give a mapping of arrays, such as dict(x=..., y=...)")
    divided = {} if data.get("split") is not None else {"data.split.by": "group"}
    if hasattr(data.get("x"), "to_csv"):
        return _table(folder / "table.csv", data) | divided
    several = [key for key in data if key.startswith(RATERS)]
    arrays = {key: data[key] for key in (*_ARRAYS, *several) if data.get(key) is not None}
    if (labels := data.get("y")) is None:
        raise UsageError("data: give y, the labels, or a mapping of them by task")
    answers = {f"y_{task}": one for task, one in labels.items()} if isinstance(labels, Mapping) else {"y": labels}
    path = folder / "arrays.npz"
    write_npz(path, {key: _plain(key, values) for key, values in {**arrays, **answers}.items()})
    options = {key: value for key, value in data.items() if key not in (*_ARRAYS, *several, "y")}
    return {"data.source": "arrays", "data.root": str(path), "data.options": options} | divided


def _table(path: Path, data: Mapping[str, Any]) -> dict[str, Any]:
    options = {"label": "grade"} | {key: value for key, value in data.items() if key not in ("x", "y")}
    frame = data["x"]
    if "y" in data:
        frame = frame.assign(**{options["label"]: _plain("y", data["y"])})
    with atomic(path) as stream:
        stream.write(frame.to_csv(index=False).encode())
    return {"data.source": "table", "data.root": str(path), "data.options": options}


def _plain(key: str, values: Any) -> np.ndarray:
    """Values as an array that needs no pickling; raises UsageError where there is none."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise UsageError(f"data: {key} is no array: {error}") from error
    if array.dtype.kind == "O" and array.ndim == 1:
        array = np.asarray([v if isinstance(v, str) else "" if str(v) in MISSING else str(v) for v in array])
    if array.dtype.kind not in "biufUS":
        raise UsageError(f"data: {key} is an array of {array.dtype} {list(array.shape)}: give numbers or texts")
    return array
