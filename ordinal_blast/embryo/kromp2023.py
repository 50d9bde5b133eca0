"""Blastocysts of Kromp et al. 2023: silver grades to learn from, gold ones to test on, agreement, clinic and outcome.

The files are those of the published archive: `Gardner_train_silver.csv`, `Gardner_test_gold_onlyGardnerScores.csv`,
and where they are there `Gardner_test_gold.xlsx`, `Clincial_annotations.csv` and the folder `Images`. An image is named
after its patient, 0123_02.png. Four of five patients of the test images have images to learn from too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from ordinal_blast import ranges
from ordinal_blast.data import listing, sheets, splits
from ordinal_blast.data.sheets import Sheet, shown
from ordinal_blast.data.store import Source, SourceMissingError
from ordinal_blast.embryo import gardner, kromp_raters, photographed
from ordinal_blast.embryo.photographed import Shot
from ordinal_blast.errors import UserError
from ordinal_blast.types import RATERS, Task

_NAME = "kromp2023"
_SILVER, _GOLD = "Gardner_train_silver.csv", "Gardner_test_gold_onlyGardnerScores.csv"
_AGREEMENT, _CLINIC = "Gardner_test_gold.xlsx", "Clincial_annotations.csv"  # so it is spelt
_COLUMN = {"expansion": "EXP", "icm": "ICM", "te": "TE"}
_STAGES = ("1", "2", "3", "4", "5")  # no expanded sixth is among them
_OUTCOMES = {"biochemical": "SS", "heartbeat": "HA", "live_birth": "LB"}
_NUMBERS = {"age": "Age", "amh": "AMH", "endometrium_mm": "Endo", "oocytes": "COC", "mature_oocytes": "MII"}
_MONTHS = ("Jän", "Feb", "Mär", "Apr", "Mai", "Jun", "Jul", "Aug", "Sep", "Okt", "Nov", "Dez")
_DATE = re.compile(rf"(\d+|{'|'.join(_MONTHS)})\.(\d+|{'|'.join(_MONTHS)})")
_PICTURE = re.compile(r"(\d+)_(\d+)\.png")


def source(
    root: Path,
    *,
    images: str = "",
    raters: str = "",
    size: photographed.Size = (384, 512),
    channels: Literal[1, 3] = 3,
    shared_patients: Literal["keep", "drop"] = "keep",
    val_share: float = 0.1,
    val_seed: int = 0,
    bad: listing.Bad = "refuse",
) -> Source:
    """The files in `root`; the training set is what has silver grades, the test set what has gold ones.

    images: the folder of images, by default `Images` (or `Images/Images`) in `root`; where there is none, records have
    grades and no images. size, channels: as which they are read. raters: the folder of
    the annotators' own files, whose grades become `rater_TASK`. shared_patients: of the test set that are in the
    training set too; "drop" leaves their training images out. val_share, val_seed: of the patients of the training set
    whose images are the validation set, grades alike. bad: images that cannot be read are refused, or left out.

    A record has beside its grades `set` (silver or gold), `agreement_TASK` (share of the experts, NaN where it is not
    known or they met again), and of the transferred ones `day`, age and others of `_NUMBERS`, NaN where unknown, and
    the outcomes `biochemical`, `heartbeat` and `live_birth`, -1 where unknown. Raises SourceMissingError for no files,
    and UserError for those that hold something else.
    """
    ranges.check("data.options.val_seed", val_seed, ranges.SEED)
    options = {
        "format": _NAME,
        "images": [list(size), channels, bad],
        "val": [shared_patients, val_share, val_seed],
        **({"raters": True} if raters else {}),
    }
    if missing := [name for name in (_SILVER, _GOLD) if not (root / name).is_file()]:
        raise SourceMissingError(
            _NAME,
            options,
            f"{root.absolute()} has no {missing[0]}: unpack Blastocyst_Dataset.zip of doi:10.6084/m9.figshare.20123153 "
            "and name its folder with --config.data.root=FOLDER",
        )
    notes: list[str] = []
    rows: dict[str, tuple[str, str, list[str | int]]] = {}  # by image: set, place, grades
    for kind, file in (("silver", _SILVER), ("gold", _GOLD)):
        for name, place, grades in _graded(sheets.read(root / file), kind):
            if name in rows:
                notes.append(
                    f"{place}: {name} is graded before, {_said(rows[name][2])} in {rows[name][1]}, and {_said(grades)} "
                    "here: left out"
                )
            else:
                rows[name] = kind, place, grades
    if shared_patients == "drop":
        tested = {_patient(name) for name, (kind, *_) in rows.items() if kind == "gold"}
        count = len(rows)
        rows = {name: row for name, row in rows.items() if row[0] == "gold" or _patient(name) not in tested}
        notes.append(f"{count - len(rows)} training images of patients of the test set are left out")
    folder = next((path for path in _folders(root, images) if path.is_dir()), None)
    if folder is None:
        notes.append(
            f"{root.absolute()} has no folder Images: only what is said of them is here, and no network reads it"
        )
    shots = [Shot(name, _patient(name), (folder / name,) if folder else ()) for name in rows]
    places = [place for _, place, _ in rows.values()]
    tasks = [
        gardner.labelled(task, [grades[k] for *_, grades in rows.values()], places)
        for k, task in enumerate(gardner.TASKS)
    ]
    tasks[0] = (Task("expansion", _STAGES), *tasks[0][1:])
    sets = np.asarray([kind for kind, *_ in rows.values()])
    names, rated = _raters(root / raters, list(rows), notes) if raters else ((), {})
    columns = {"set": sets, **rated, **_agreement(root, rows), **_clinic(root, rows, notes)}
    parts = splits.with_validation(
        {"train": np.flatnonzero(sets == "silver"), "test": np.flatnonzero(sets == "gold")},
        tasks[1][1],
        np.asarray([shot.group for shot in shots]),
        val_share,
        (val_seed, 0),
        stratified=True,
    )
    shape = (*size, channels) if folder else ()
    return Source(
        name=_NAME,
        tasks=tuple(task for task, _, _ in tasks),
        summary="kromp2023: human blastocysts on day 4 and 5, Gardner grades: expansion 1 to 5, ICM and TE",
        licence="CC BY 4.0",
        citation="Kromp et al. 2023, Scientific Data 10:271, doi:10.1038/s41597-023-02182-3",
        identity=options | {"content": photographed.content(shots, tasks, columns)},
        known=options,
        features=photographed.features(tasks, columns, shape),
        splits=photographed.splits(parts, shots, tasks, columns, shape, bad, notes),
        extras={"raters": list(names)} if names else {},
        notes=notes,
    )


def _folders(root: Path, images: str) -> list[Path]:
    if images and not (root / images).is_dir():
        raise UserError(f"{(root / images).absolute()} is no folder: name that of the images by data.options.images")
    return [root / images] if images else [root / "Images" / "Images", root / "Images"]


def _graded(sheet: Sheet, kind: str) -> Iterator[tuple[str, str, list[str | int]]]:
    """Image, place and grades of every row."""
    texts = [sheet.column(f"{_COLUMN[task]}_{kind}") for task in gardner.TASKS]
    for name, place, *said in zip(sheet.column("Image"), sheet.places, *texts, strict=True):
        if not _PICTURE.fullmatch(name):
            raise UserError(f"{place}, Image: {shown(name)!r} is no name such as 0123_02.png: correct it")
        yield name, place, [_entry(task, text, place) for task, text in zip(gardner.TASKS, said, strict=True)]


def _entry(task: str, text: str, place: str) -> str | int:
    try:
        return gardner.entry(task, text, _NAME)
    except ValueError as error:
        raise UserError(f"{place}: {error}") from error


def _said(grades: Sequence[str | int]) -> str:
    return "/".join(map(str, grades))


def _patient(name: str) -> str:
    return f"{int(name.partition('_')[0]):04d}"


def _agreement(root: Path, rows: Mapping[str, object]) -> dict[str, np.ndarray]:
    """The share of the experts who agreed, float32 `[N]` by task."""
    if not (root / _AGREEMENT).is_file():
        return {}
    sheet, place = sheets.read(root / _AGREEMENT), {name: row for row, name in enumerate(rows)}
    columns = {}
    for task, column in _COLUMN.items():
        shares = np.full(len(rows), np.nan, np.float32)
        for name, text in zip(sheet.column("Image"), sheet.column(f"{column}_Agreement"), strict=True):
            if name in place:
                shares[place[name]] = sheets.number(text, "," if "," in text else ".")
        columns[f"agreement_{task}"] = shares
    return columns


def _raters(folder: Path, items: Sequence[str], notes: list[str]) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """The names of the annotators, and their grades int32 `[N, R]` by task, -1 where one gave none."""
    if not (paths := kromp_raters.files([folder])):
        raise UserError(
            f"{folder.absolute()} has no Annotator_0.csv: name the annotators' folder by data.options.raters"
        )
    panel = kromp_raters.read([path for path in paths if path.suffix == ".csv"])
    said, names = panel.annotations, panel.people
    rows, chosen = {item: row for row, item in enumerate(said.items)}, [said.raters.index(name) for name in names]
    notes += said.notes
    columns = {}
    for task, theirs in zip(gardner.TASKS, kromp_raters.GRADES, strict=True):
        grades = np.full((len(items), len(names)), -1, np.int32)
        for place, item in enumerate(items):
            if item in rows:
                grades[place] = np.maximum(said.grades[theirs][rows[item], chosen], -1)
        columns[f"{RATERS}{task}"] = grades
    return names, columns


def _clinic(root: Path, rows: Mapping[str, object], notes: list[str]) -> dict[str, np.ndarray]:
    """What is known of the patients whose embryo was transferred, and what came of it, `[N]` each."""
    if not (root / _CLINIC).is_file():
        return {}
    sheet = sheets.read(root / _CLINIC, encoding="latin-1")
    where = {name: row for row, name in enumerate(rows)}
    named = dict(zip(sheet.column("Image"), range(len(sheet.rows)), strict=True))
    matched = {}
    for name, row in named.items():
        parts = _PICTURE.fullmatch(name)
        meant = f"{int(parts[1]):04d}_{int(parts[2]):02d}.png" if parts else ""
        if name in where:
            matched[where[name]] = row
        elif meant in where and meant not in named:
            matched[where[meant]] = row
            notes.append(f"{sheet.places[row]}: {name} is taken as {meant}, which the lists of grades have")
        else:
            notes.append(f"{sheet.places[row]}: {shown(name)} is in no list of grades: left out")
    columns: dict[str, np.ndarray] = {
        **{name: np.full(len(rows), -1, np.int32) for name in ("day", *_OUTCOMES)},
        **{name: np.full(len(rows), np.nan, np.float32) for name in _NUMBERS},
    }
    for name, title in {"day": "d", **_OUTCOMES, **_NUMBERS}.items():
        texts = sheet.column(title)
        for place, row in matched.items():
            value = _value(texts[row])
            whole = name == "day" or name in _OUTCOMES
            if value is None or (whole and not value.is_integer()):
                raise UserError(f"{sheet.places[row]}, {title}: {shown(texts[row])!r} is no number: correct it")
            columns[name][place] = value
    steps = np.stack([columns[name] for name in _OUTCOMES])
    for place in np.flatnonzero((np.diff(steps, axis=0) > 0).any(axis=0)).tolist():
        said = ", ".join(f"{title} {columns[name][place]}" for name, title in _OUTCOMES.items())
        notes.append(f"{sheet.places[matched[place]]}: {said}, where each follows from the next")
    return columns


def _value(text: str) -> float | None:
    """A number, also where a spreadsheet made a date of it (Jän.26 was 1.26, 10.Sep 10.9), or a sum (4+1); NaN for
    nothing, and None for another text.
    """
    if not text:
        return math.nan
    if (date := _DATE.fullmatch(text)) and not text.replace(".", "").isdigit():
        whole, rest = (_MONTHS.index(part) + 1 if part in _MONTHS else part for part in date.groups())
        return float(f"{int(whole)}.{rest}")
    values = [sheets.number(part, "," if "," in part else ".") for part in text.split("+")]
    return None if any(map(math.isnan, values)) else sum(values)
