"""Time-lapse recordings as a list of frames: which image of an embryo is nearest to which hour, in which plane."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ordinal_blast.data import listing, sheets
from ordinal_blast.data.sheets import shown
from ordinal_blast.embryo import timelapse
from ordinal_blast.embryo.frame_names import COLUMNS
from ordinal_blast.errors import UserError
from ordinal_blast.types import NO_ID

_LONGEST = 336.0  # two weeks, in hours
_HINT = "a manifest has a row an image and the columns item, path, hpi and plane"


class Listed(NamedTuple):
    """The frames of an embryo: hpi float32 `[T]`, increasing, and the images' paths by hour and focal plane in µm."""

    hpi: np.ndarray
    paths: Mapping[tuple[float, float], Path]


def read(path: Path, root: Path, bad: listing.Bad, notes: list[str]) -> dict[str, Listed]:
    """The recordings of a manifest, by item; paths lie below `root`. Images that are not there are refused, or noted.

    Raises UserError that names file, line and column for a blank item, a path out of `root`, hours and planes that are
    no numbers, hours that are none, and two images of an item, hour and plane.
    """
    sheet = sheets.read(path)
    if lacking := [name for name in COLUMNS[:3] if name not in sheet.columns]:
        has = ", ".join(map(shown, sheet.columns[:12]))
        raise UserError(f"{path} has no column {lacking[0]}: it has {has}; {_HINT}")
    planes = sheet.column("plane") if "plane" in sheet.columns else ["0"] * len(sheet.rows)
    listed: dict[str, dict[tuple[float, float], tuple[Path, str]]] = {}
    within = root.resolve()
    for place, item, name, hpi, plane in zip(
        sheet.places, *(sheet.column(column) for column in COLUMNS[:3]), planes, strict=True
    ):
        if item in NO_ID:
            raise UserError(f"{place}, item: it is blank: name the embryo that the image is of")
        hour, focus = _hour(place, hpi), _number(place, "plane", plane or "0")
        where = _below(within, root, place, name)
        if not where.is_file():
            listing.refuse(bad, notes, f"{place}, path: there is no image {shown(name)}")
            continue
        before = listed.setdefault(item, {}).setdefault((hour, focus), (where, place))
        if before[1] != place:
            raise UserError(
                f"{place}: {shown(item)} has an image at {hour:g} hpi and {focus:g} µm before, in {before[1]}"
            )
    if not listed:
        raise UserError(f"{path}: none of its images is there: name them below {root}")
    return {
        item: Listed(
            np.unique(np.asarray([hour for hour, _ in frames], np.float32)), {k: v[0] for k, v in frames.items()}
        )
        for item, frames in listed.items()
    }


def planes(recordings: Mapping[str, Listed]) -> tuple[float, ...]:
    """The focal planes that every recording has, in µm; raises UserError where there is none."""
    common = set.intersection(*({plane for _, plane in one.paths} for one in recordings.values()))
    if not common:
        raise UserError("the recordings have no focal plane in common: name one or more by data.options.planes")
    return tuple(sorted(common))


def chosen(recording: Listed, hours: np.ndarray, planes: Sequence[float]) -> tuple[np.ndarray, list[list[Path]]]:
    """The hours float32 `[T]` of the frames nearest to these, of those that have all the focal planes, and their images
    `[T][F]`; raises ValueError where there is none.
    """
    times = sorted({hour for hour, _ in recording.paths})
    whole = [hour for hour in times if all((hour, plane) in recording.paths for plane in planes)]
    if not whole:
        listed = ", ".join(f"{plane:g}" for plane in planes)
        raise ValueError(f"no hour has an image in every focal plane of {listed} µm")
    nearest = timelapse.nearest(np.asarray(whole), np.asarray(hours, np.float64))
    return (
        np.asarray([whole[k] for k in nearest], np.float32),
        [[recording.paths[whole[k], plane] for plane in planes] for k in nearest],
    )


def _hour(place: str, text: str) -> float:
    hour = _number(place, "hpi", text)
    if not 0 <= hour <= _LONGEST:
        raise UserError(f"{place}, hpi: {shown(text)} is outside 0 ... {_LONGEST:g}: give hours after insemination")
    return hour


def _number(place: str, column: str, text: str) -> float:
    value = sheets.number(text, "," if "," in text else ".")
    if not math.isfinite(value):
        raise UserError(f"{place}, {column}: {shown(text) or 'a blank'} is no number: correct it")
    return value


def _below(within: Path, root: Path, place: str, name: str) -> Path:
    """The file of a path below a folder, however it is written; raises UserError for one that leads out of it."""
    text = name.replace("\\", "/")
    try:
        where = root / text
        inside = bool(text) and not os.path.isabs(text) and where.resolve().is_relative_to(within)
    except (OSError, ValueError, RuntimeError):  # a name that no file has, or links in a circle
        inside = False
    if not inside:
        raise UserError(f"{place}, path: {shown(name) or 'a blank'} is no file below {root}: correct it")
    return where
