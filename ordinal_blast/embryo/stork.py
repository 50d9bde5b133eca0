"""Blastocysts whose grade is in the file name, as the examples of STORK have it (Khosravi et al. 2019).

`Images/train/good/36338476_45_3AA-.jpg` or `Images/test/poor_27002081_-15_1BB.jpg`: embryo, focal plane in µm, grade.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np

from ordinal_blast import ranges
from ordinal_blast.data import images, listing, splits
from ordinal_blast.data.images import printable
from ordinal_blast.data.store import Source, SourceMissingError
from ordinal_blast.embryo import gardner, photographed
from ordinal_blast.embryo.footage import PLANES
from ordinal_blast.embryo.photographed import Shot
from ordinal_blast.errors import UserError
from ordinal_blast.types import Task

_NAME = "stork"
_FILE = re.compile(r"(?:(?P<quality>good|poor)_)?(?P<embryo>[^_]+)_(?P<plane>-?\d+)_(?P<grade>[^_]+)", re.IGNORECASE)
_QUALITY = ("poor", "good")


def source(
    root: Path,
    *,
    planes: Annotated[tuple[float, ...], PLANES] = (),
    size: photographed.Size = (500, 500),
    channels: Literal[1, 3] = 3,
    signs: gardner.Signs = "drop",
    worst: gardner.Worst = "C",
    val_share: float = 0.2,
    val_seed: int = 0,
    bad: listing.Bad = "refuse",
) -> Source:
    """The images in the folders train and test of `root`, or of `Images` in it; an embryo is a group.

    planes: of an embryo, in µm, that are the channels of one example; without them every image is an example. size,
    channels: as which images are read. signs: whether A- is an A, or a grade of its own. worst: the lowest letter.
    val_share, val_seed: of the embryos of the training set that are the validation set. bad: images that cannot be
    read, or whose names say no grade, are refused, or left out. Raises SourceMissingError for no such folders.
    """
    ranges.check("data.options.val_seed", val_seed, ranges.SEED)
    options = {
        "format": _NAME,
        "images": [list(planes), list(size), channels, bad],
        "grades": [signs, worst],
        "val": [val_share, val_seed],
    }
    home = root / "Images" if (root / "Images").is_dir() else root
    if not (home / "train").is_dir():
        raise SourceMissingError(
            _NAME,
            options,
            f"{home.absolute()} has no folder train: clone github.com/ih-lab/STORK and name its folder with "
            "--config.data.root=FOLDER",
        )
    notes: list[str] = []
    rows = _listed(home, bad, notes)
    if planes:
        rows = _together(rows, planes, bad, notes)
    places = [printable(row.files[0].relative_to(root)) for row in rows]
    said = [gardner.whole(row.grade) for row in rows]
    tasks = [
        gardner.labelled(task, [one[task] for one in said], places, signs=signs, worst=worst) for task in gardner.TASKS
    ]
    quality = np.asarray([_QUALITY.index(row.quality) if row.quality else -1 for row in rows], np.int32)
    tasks.append((Task("quality", _QUALITY), quality, np.minimum(quality, 0)))
    shots = [
        Shot(place.removeprefix("Images/"), row.embryo, row.files) for place, row in zip(places, rows, strict=True)
    ]
    parts = {part: np.flatnonzero([row.part == part for row in rows]) for part in splits.NAMES}
    parts = splits.with_validation(
        {part: chosen for part, chosen in parts.items() if len(chosen)},
        tasks[1][1],
        np.asarray([shot.group for shot in shots]),
        val_share,
        (val_seed, 0),
        stratified=True,
    )
    shape = (*size, len(planes) or channels)
    columns = {} if planes else {"plane": np.asarray([row.plane for row in rows], np.float32)}
    return Source(
        name=_NAME,
        tasks=tuple(task for task, _, _ in tasks),
        summary="stork: human blastocysts in an EmbryoScope, grades from file names",
        licence="MIT",
        citation="Khosravi et al. 2019, npj Digital Medicine 2:21, doi:10.1038/s41746-019-0096-y",
        identity=options | {"content": photographed.content(shots, tasks, columns)},
        known=options,
        features=photographed.features(tasks, columns, shape),
        splits=photographed.splits(parts, shots, tasks, columns, shape, bad, notes),
        extras={"planes": list(planes)} if planes else {},
        notes=notes,
    )


class _Row(NamedTuple):
    """An image, or several of one embryo: what its name says, and its split."""

    part: str
    quality: str
    embryo: str
    plane: float
    grade: str
    files: tuple[Path, ...]


def _listed(home: Path, bad: listing.Bad, notes: list[str]) -> list[_Row]:
    """The images, by name; raises UserError where there is none."""
    rows = []
    for path in sorted(path for path in home.rglob("*") if path.suffix.lower() in images.SUFFIXES):
        where, parts = printable(path.relative_to(home)), _FILE.fullmatch(path.stem)
        split = splits.named(path.relative_to(home).parts[0])
        if not parts or not split:
            why = "its name says no embryo, plane and grade, as 36338476_45_3AA-.jpg does"
            listing.refuse(bad, notes, f"{where}: {why if split else 'it lies in no folder train, val or test'}")
            continue
        try:
            gardner.whole(parts["grade"])
        except ValueError as error:
            listing.refuse(bad, notes, f"{where}: {error}")
            continue
        above = path.parent.name.lower()
        quality = (parts["quality"] or (above if above in _QUALITY else "")).lower()
        rows.append(_Row(split, quality, parts["embryo"], float(parts["plane"]), parts["grade"], (path,)))
    if not rows:
        raise UserError(
            f"{printable(home.absolute())} has no image whose name says a grade, such as 36338476_45_3AA-.jpg"
        )
    return rows


def _together(rows: Sequence[_Row], planes: Sequence[float], bad: listing.Bad, notes: list[str]) -> list[_Row]:
    """One row for every embryo, with a file for each of these focal planes."""
    embryos: dict[tuple[str, str], dict[float, _Row]] = defaultdict(dict)
    for row in rows:
        embryos[row.part, row.embryo][row.plane] = row
    several = []
    for (_, embryo), by_plane in embryos.items():
        if lacking := [plane for plane in planes if plane not in by_plane]:
            there = ", ".join(f"{plane:g}" for plane in sorted(by_plane))
            listing.refuse(bad, notes, f"{embryo} has no image at {lacking[0]:g} µm: it has {there}")
        elif len({row.grade for row in by_plane.values()}) > 1:
            listing.refuse(
                bad, notes, f"{embryo} has another grade in another focal plane: correct the names of its files"
            )
        else:
            several.append(by_plane[planes[0]]._replace(files=tuple(by_plane[plane].files[0] for plane in planes)))
    if not several:
        raise UserError("no embryo has an image in every focal plane of data.options.planes: name others")
    return several
