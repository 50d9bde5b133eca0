"""The manifest of a folder of time-lapse frames, from what their names say: item, path, hpi and plane of every image.

A pattern is a file name without its ending, with names in braces for what is to be read from it:

    {item}    the embryo, the same in all of its frames: letters of any kind but a slash
    {hpi}     hours post insemination; {minutes} since then; {run} the number of the frame, counted from 0 or 1
    {plane}   focal plane in µm, 0 where the pattern has none
    {any}     anything but a slash

Folders before those of the pattern are anything.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ordinal_blast.data import images
from ordinal_blast.data.images import printable
from ordinal_blast.errors import UsageError, UserError

COLUMNS = ("item", "path", "hpi", "plane")
PATTERNS = (  # tried in turn for every image
    "{any}_F{plane}/{any}/{item}_RUN{run}",  # of an EmbryoScope, a folder for every focal plane and embryo
    "{item}_RUN{run}",
    "{item}_{hpi}h_{plane}um",
    "{item}_{hpi}h",
    "{item}/{hpi}h_{plane}um",
    "{item}/{hpi}h",
    "{item}/F{plane}/{run}",
)
_NUMBER = r"-?\d+(?:\.\d+)?"
_TOKENS = {
    "item": r"(?P<item>[^/]+)",
    "hpi": rf"(?P<hpi>{_NUMBER})",
    "minutes": rf"(?P<minutes>{_NUMBER})",
    "run": r"(?P<run>\d+)",
    "plane": rf"(?P<plane>{_NUMBER})",
    "any": r"[^/]*",
}
_TIMES = ("hpi", "minutes", "run")


class Frame(NamedTuple):
    """A row of a manifest: an image of an embryo, its path below the folder, its hour and its focal plane in µm."""

    item: str
    path: str
    hpi: float
    plane: float


class Manifest(NamedTuple):
    """Its frames by item, time and plane; how many images each pattern read, and the images that none did."""

    frames: tuple[Frame, ...]
    patterns: dict[str, int]
    others: tuple[str, ...]


def expression(pattern: str) -> re.Pattern[str]:
    """The regular expression of a pattern; raises UsageError for one that does not say the item and the time once."""
    words = re.split(r"\{(\w*)\}", pattern)
    names = words[1::2]
    if unknown := [name for name in names if name not in _TOKENS]:
        raise UsageError(f"--pattern has {{{unknown[0]}}}: it takes {', '.join(f'{{{name}}}' for name in _TOKENS)}")
    times = [name for name in names if name in _TIMES]
    if names.count("item") != 1 or len(times) != 1 or names.count("plane") > 1:
        raise UsageError(
            f"--pattern is {pattern!r}: it needs {{item}} and one of {{hpi}}, {{minutes}} and {{run}}, each once, "
            f"such as {PATTERNS[2]!r}"
        )
    texts = [_TOKENS[word] if place % 2 else re.escape(word) for place, word in enumerate(words)]
    return re.compile(f"(?:.*/)?{''.join(texts)}", re.IGNORECASE)


def read(folder: Path, pattern: str = "", *, every: float | None = None, first: float = 0.0) -> Manifest:
    """The manifest of all images below a folder, hidden ones left out.

    every, first: minutes from one run to the next, and the hour of run 0, where a pattern has {run}. Raises UsageError
    for a pattern that is none, or has {run} without `every`, and UserError for no folder, no image, names that no
    pattern reads, or two images of an item, hour and plane.
    """
    if not folder.is_dir():
        raise UserError(f"{printable(folder)} is no folder: name the folder of the images")
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in images.SUFFIXES and path.is_file()]
    names = [path.relative_to(folder).as_posix() for path in paths]
    names = [name for name in names if not any(part.startswith(".") for part in name.split("/"))]
    if not names:
        raise UserError(f"{printable(folder)} has no image: they end in {', '.join(images.SUFFIXES)}")
    tried = [(one, expression(one)) for one in ([pattern] if pattern else PATTERNS)]
    rows, others, counts = [], [], dict.fromkeys((one for one, _ in tried), 0)
    for name in names:
        stem = name.rpartition(".")[0]
        matched = next(((one, parts) for one, form in tried if (parts := form.fullmatch(stem))), None)
        if matched is None:
            others.append(name)
            continue
        counts[matched[0]] += 1
        rows.append(_frame(name, matched[1].groupdict(), matched[0], every, first))
    if not rows:
        known = " or ".join(repr(one) for one, _ in tried)
        raise UserError(
            f"{printable(folder)}: no name, such as {printable(names[0])}, is {known}: say by --pattern what yours "
            f"are, such as {PATTERNS[2]!r}"
        )
    places: dict[tuple[str, float, float], str] = {}
    for row in rows:
        before = places.setdefault((row.item, row.hpi, row.plane), row.path)
        if before != row.path:
            raise UserError(
                f"{printable(before)} and {printable(row.path)} are both of {row.item} at {row.hpi:g} hpi and "
                f"{row.plane:g} µm: say by --pattern what tells them apart"
            )
    rows.sort(key=lambda row: (row.item, row.hpi, row.plane))
    return Manifest(tuple(rows), {one: count for one, count in counts.items() if count}, tuple(others))


def table(frames: Iterable[Frame]) -> str:
    """The manifest as CSV, with its header."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((row.item, row.path, f"{row.hpi:.6g}", f"{row.plane:g}") for row in frames)
    return out.getvalue()


def said(manifest: Manifest, out: Path) -> str:
    """A few lines for a terminal."""
    items = dict.fromkeys(row.item for row in manifest.frames)
    lines = [f"pattern {one!r} reads {count} images" for one, count in manifest.patterns.items()]
    if manifest.others:
        lines.append(f"left out: {len(manifest.others)} images, such as {printable(manifest.others[0])}")
    hours = [row.hpi for row in manifest.frames]
    planes = sorted({row.plane for row in manifest.frames})
    lines.append(
        f"{len(manifest.frames)} frames of {len(items)} items, {min(hours):g} to {max(hours):g} hpi, focal planes "
        f"{', '.join(f'{plane:g}' for plane in planes)} µm"
    )
    return "\n".join([*lines, f"Manifest: {out}"])


def _frame(name: str, parts: dict[str, str], pattern: str, every: float | None, first: float) -> Frame:
    if "hpi" in parts:
        hpi = float(parts["hpi"])
    elif "minutes" in parts:
        hpi = float(parts["minutes"]) / 60
    elif every is None:
        raise UsageError(
            f"the pattern {pattern!r} reads the number of a frame, as of {printable(name)}: say by --every how many "
            "minutes lie between two, and by --first the hour of frame 0"
        )
    else:
        hpi = first + int(parts["run"]) * every / 60
    return Frame(parts["item"], name, hpi, float(parts.get("plane") or 0))
