"""Frames of Gomez et al. 2022 (Nantes) with the phase of development they show, and the grades of their embryo.

    embryo_dataset/<video>/..._RUN<n>.jpeg          and embryo_dataset_F15/, ... for other focal planes
    embryo_dataset_annotations/<video>_phases.csv   phase,first frame,last frame; no header
    embryo_dataset_time_elapsed/<video>_timeElapsed.csv   frame_index,time in hours
    embryo_dataset_grades.csv                       video_name,TE,ICM

Frames are numbered by RUN. What the archive has twice (`<video>/F0/`) is read once; phases may end after the last
image.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from ordinal_blast.data import listing, sheets
from ordinal_blast.data.images import printable
from ordinal_blast.data.sheets import shown
from ordinal_blast.data.store import Source, SourceMissingError
from ordinal_blast.embryo import gardner, photographed, timelapse
from ordinal_blast.embryo.footage import PLANES
from ordinal_blast.embryo.photographed import Shot
from ordinal_blast.errors import UserError
from ordinal_blast.ranges import Range, number
from ordinal_blast.types import MISSING, NOT_DEFINED, Task

_NAME = "nantes2022"
PHASES = (
    *("tPB2", "tPNa", "tPNf", "t2", "t3", "t4", "t5", "t6", "t7", "t8", "t9+"),
    *("tM", "tSB", "tB", "tEB", "tHB"),
)
_BLASTOCYST = PHASES.index("tB")  # from which on ICM and TE are graded
_RUN = re.compile(r".*_RUN(\d+)\.jpe?g", re.IGNORECASE)
_COUPLE = re.compile(r"([A-Z]+\d+)")
_STEP = Range("hours from frame to frame, or 0 for every frame", number(least=0, most=100).holds)


def source(
    root: Path,
    *,
    planes: Annotated[tuple[float, ...], PLANES] = (0.0,),
    step_h: Annotated[float, _STEP] = 1.0,
    size: photographed.Size = (500, 500),
    channels: Literal[1, 3] = 1,
    bad: listing.Bad = "refuse",
) -> Source:
    """The frames of all videos in `root`; a couple is a group, and how they are divided is for `data.split`.

    planes: in µm, one image or several as channels. step_h: the frame nearest to every such hour is kept, where the
    hours of a video are known; else every frame. size, channels: as which images of one plane are read. bad: images
    that cannot be read (of 52 of the 704 videos all are cut short) are refused, or left out.

    Tasks are the `phase`, sixteen in their order; `icm` and `te`, which blastocysts alone have. A record has its `hpi`,
    NaN where it is not known, and the number of its `frame`. Raises SourceMissingError for no images, and UserError
    that names file and line for a list that cannot be read.
    """
    options = {"format": _NAME, "frames": [list(planes), step_h], "images": [list(size), channels, bad]}
    home = root / "embryo_dataset"
    videos = sorted(path.name for path in home.iterdir() if path.is_dir()) if home.is_dir() else []
    if not videos:
        raise SourceMissingError(
            _NAME,
            options,
            f"{home.absolute()} has no folders of images: unpack the archives of doi:10.5281/zenodo.7912264 beside "
            "each other and name their folder with --config.data.root=FOLDER",
        )
    notes: list[str] = []
    graded = _grades(root)
    shots: list[Shot] = []
    phases: list[int] = []
    letters: dict[str, list[str | int]] = {"icm": [], "te": []}
    times: list[tuple[float, int]] = []
    for video in videos:
        files = [_images(_folder(root, plane) / video) for plane in planes]
        there = sorted(set.intersection(*map(set, files)))
        if not there:
            notes.append(f"{printable(video)} has no image in every focal plane: left out")
            continue
        hours = _hours(root, video)
        shown_phases = _phases(root, video, there[-1], notes)
        if not hours:
            notes.append(f"{printable(video)}: the hours of its frames are not known: every frame is kept")
        for frame in _sampled(there, hours, step_h):
            phase = shown_phases.get(frame, MISSING)
            shots.append(Shot(f"{video}/RUN{frame}", _couple(video), tuple(of[frame] for of in files)))
            phases.append(phase)
            times.append((hours.get(frame, np.nan), frame))
            for task, of in letters.items():
                early = 0 <= phase < _BLASTOCYST
                of.append(NOT_DEFINED if early else graded.get(video, {}).get(task, MISSING) if phase >= 0 else MISSING)
    if not shots:
        raise UserError(f"{home.absolute()} has no image in every focal plane of data.options.planes: name others")
    labels = np.asarray(phases, np.int32)
    places = [shot.name for shot in shots]
    tasks = [(Task("phase", PHASES), labels, np.minimum(labels, 0))]
    tasks += [gardner.labelled(task, of, places) for task, of in letters.items()]
    columns = {
        "hpi": np.asarray([hour for hour, _ in times], np.float32),
        "frame": np.asarray([frame for _, frame in times], np.int32),
    }
    shape = (*size, len(planes) if len(planes) > 1 else channels)
    return Source(
        name=_NAME,
        tasks=tuple(task for task, _, _ in tasks),
        summary=f"nantes2022: EmbryoScope frames of {len(videos)} embryos with their phase of development",
        licence="CC BY-NC-SA 4.0",
        citation="Gomez et al. 2022, Data in Brief 42:108258, doi:10.1016/j.dib.2022.108258",
        identity=options | {"content": photographed.content(shots, tasks, columns)},
        known=options,
        features=photographed.features(tasks, columns, shape),
        splits=photographed.splits({"frames": np.arange(len(shots))}, shots, tasks, columns, shape, bad, notes),
        extras={"planes": [float(plane) for plane in planes]},
        notes=notes,
    )


def _folder(root: Path, plane: float) -> Path:
    return root / ("embryo_dataset" if plane == 0 else f"embryo_dataset_F{plane:g}")


def _images(folder: Path) -> dict[int, Path]:
    """The images of a video in one focal plane, by RUN."""
    inner = folder / "F0"
    for place in (folder, inner):
        paths = sorted(place.iterdir()) if place.is_dir() else []
        if runs := {int(parts[1]): path for path in paths if (parts := _RUN.fullmatch(path.name))}:
            return runs
    return {}


def _couple(video: str) -> str:
    parts = _COUPLE.match(video)
    return parts[1] if parts else video


def _hours(root: Path, video: str) -> dict[int, float]:
    """The hours of the frames of a video; none where there is no such list."""
    path = root / "embryo_dataset_time_elapsed" / f"{video}_timeElapsed.csv"
    if not path.is_file():
        return {}
    sheet = sheets.read(path)
    hours = {}
    for place, frame, time in zip(sheet.places, sheet.column("frame_index"), sheet.column("time"), strict=True):
        if not frame.isdecimal() or not np.isfinite(sheets.number(time)):
            raise UserError(f"{place}: {shown(frame)} at {shown(time)} is no frame and hour: correct it")
        hours[int(frame)] = sheets.number(time)
    return hours


def _phases(root: Path, video: str, last: int, notes: list[str]) -> dict[int, int]:
    """The phase of the frames of a video that has one."""
    path = root / "embryo_dataset_annotations" / f"{video}_phases.csv"
    if not path.is_file():
        notes.append(f"{printable(video)} has no phases")
        return {}
    sheet = sheets.read(path, headed=False)
    phases: dict[int, int] = {}
    for place, row in zip(sheet.places, sheet.rows, strict=True):
        phase, *ends = (text.strip() for text in row)
        if phase not in PHASES or len(ends) != 2 or not all(text.isdecimal() for text in ends):
            raise UserError(f"{place}: {shown(','.join(row))} is no phase, first frame and last frame: correct it")
        first, end = map(int, ends)
        phases |= dict.fromkeys(range(first, min(end, last) + 1), PHASES.index(phase))
        if end > last:
            notes.append(f"{place}: {phase} ends at frame {end}, and the last image is {last}")
    return phases


def _sampled(frames: list[int], hours: Mapping[int, float], step: float) -> list[int]:
    """The frames nearest to every hour, each once, or all where their hours are not known."""
    timed = [frame for frame in frames if frame in hours]
    if not step or not timed:
        return frames
    hpi = np.asarray([hours[frame] for frame in timed])
    grid = np.arange(np.ceil(hpi[0] / step), np.floor(hpi[-1] / step) + 1) * step
    near = timelapse.nearest(hpi, grid if len(grid) else hpi[:1])
    return [timed[k] for k in np.unique(near)]


def _grades(root: Path) -> dict[str, dict[str, str | int]]:
    """ICM and TE by video, where there is such a list."""
    path = root / "embryo_dataset_grades.csv"
    if not path.is_file():
        return {}
    sheet = sheets.read(path)
    grades: dict[str, dict[str, str | int]] = {}
    for place, video, *texts in zip(
        sheet.places, sheet.column("video_name"), sheet.column("ICM"), sheet.column("TE"), strict=True
    ):
        try:
            said = {task: gardner.entry(task, text, _NAME) for task, text in zip(("icm", "te"), texts, strict=True)}
        except ValueError as error:
            raise UserError(f"{place}: {error}") from error
        grades[video] = said
    return grades
