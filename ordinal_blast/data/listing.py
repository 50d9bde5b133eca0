"""Which images there are below a folder, and what is written of them: by the folders they lie in, or by a sheet."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple

from ordinal_blast.data import images, sheets, splits
from ordinal_blast.data.images import printable
from ordinal_blast.data.sheets import shown
from ordinal_blast.errors import UserError, reason
from ordinal_blast.storage import file_digest
from ordinal_blast.types import NO_ID

Bad = Literal["refuse", "skip"]


class Item(NamedTuple):
    """An image: its path below the root, its grades by task, where that is written, its split, its group, and more."""

    name: str
    grades: tuple[str, ...]
    place: str
    split: str = "images"
    group: str = ""
    along: tuple[str, ...] = ()


def of_folders(root: Path, notes: list[str]) -> list[Item]:
    """The images in the folders of grades, of all splits; raises UserError for another arrangement."""
    above = _folders(root)
    parts = {folder: splits.named(folder.name) for folder in above}
    if not above:
        inside = sum(_is_image(path) for path in _visible(root))
        many = f"{inside} images and no folders of grades" if inside else "no folders of grades"
        raise UserError(f"{printable(root.absolute())} has {many}: make one folder a grade, or name data.options.sheet")
    official = all(parts.values()) and "train" in parts.values()
    if official and len(set(parts.values())) < len(parts):
        raise UserError(f"{printable(root.absolute())} has {_listed(above)}: two of these are one split")
    notes += [f"{printable(path.name)} lies in no folder: left out" for path in _visible(root) if not path.is_dir()]
    items = []
    for top in above if official else [root]:
        for folder in _folders(top):
            for path in _visible(folder):
                name = path.relative_to(root).as_posix()
                if path.is_dir():
                    raise UserError(
                        f"{printable(path)} is a folder within that of the grade {shown(folder.name)}: put the images "
                        "into the folder of their grade, or name them in a sheet"
                    )
                if _is_image(path):
                    items.append(Item(name, (folder.name,), printable(name), parts[top] if official else "images"))
                else:
                    notes.append(f"{printable(name)} is no image: left out")
    if not items:
        raise UserError(
            f"{printable(root.absolute())} has no image in its folders: they end in {_listed(images.SUFFIXES)}"
        )
    return items


def of_sheet(
    root: Path,
    sheet: str,
    file: str,
    tasks: Sequence[str],
    group: str,
    split: str,
    along: Sequence[str],
    bad: Bad,
    notes: list[str],
) -> list[Item]:
    """The images that the rows of a sheet name; raises UserError for a sheet or a row that cannot be read so."""
    path = root / sheet
    if not path.exists():
        raise UserError(
            f"{printable(path.absolute())} does not exist: name the sheet of the images by data.options.sheet"
        )
    table = sheets.read(path)
    notes += table.notes
    named = [name.replace("\\", "/") for name in table.column(file, "file")]
    texts = list(zip(*(table.column(task, "tasks") for task in tasks), strict=True))
    groups = table.column(group, "group") if group else [""] * len(named)
    beside = [["" if text in sheets.MISSING else text for text in table.column(name, "along")] for name in along]
    parts = ["images"] * len(named)
    if split:
        for part, rows in splits.by_column(table.column(split, "split"), table.places, split).items():
            for row in rows:
                parts[row] = part
    items: dict[str, Item] = {}
    for row, (place, text, graded, part, who) in enumerate(zip(table.places, named, texts, parts, groups, strict=True)):
        where = os.path.normpath(text)
        if not text or where.startswith("..") or os.path.isabs(where):
            raise UserError(
                f"{place}: {shown(text) or 'an empty entry'} is no file below {printable(root)}: correct it"
            )
        if group and (who in NO_ID or who in sheets.MISSING):
            raise UserError(f"{place}, {group}: {who!r} is no group: name one, or one for it alone")
        there = [ending for ending in ("", *images.SUFFIXES) if _is_file(root / f"{where}{ending}")]
        if len(there) != 1:
            why = f"there are {_listed(f'{where}{ending}' for ending in there)}" if there else "there is no such image"
            refuse(bad, notes, f"{place}: {shown(text)}: {why}")
            continue
        name = f"{where}{there[0]}"
        if name in items:
            raise UserError(f"{place}: {shown(name)} is named before, in {items[name].place}: give every image one row")
        items[name] = Item(name, graded, place, part, who, tuple(column[row] for column in beside))
    others = (path.relative_to(root) for path in sorted(root.rglob("*")) if _is_image(path))
    shown_ones = (other.as_posix() for other in others if not any(part.startswith(".") for part in other.parts))
    notes += [f"{printable(name)} is not in {sheet}: left out" for name in shown_ones if name not in items]
    return list(items.values())


def readable(root: Path, items: Sequence[Item], bad: Bad, notes: list[str]) -> tuple[list[Item], list[str]]:
    """The items whose files can be read, and their digests; raises UserError where there is none."""

    def text(item: Item) -> str | UserError:
        try:
            if not _is_file(root / item.name):  # reading a pipe would wait for ever
                return UserError("it is no regular file")
            return file_digest(root / item.name)
        except OSError as error:
            return UserError(reason(error))

    with ThreadPoolExecutor(8) as pool:
        digests = list(pool.map(text, items))
    kept = []
    for item, digest in zip(items, digests, strict=True):
        if isinstance(digest, UserError):
            refuse(bad, notes, f"cannot read the image {printable(item.name)}: {digest}")
        else:
            kept.append((item, digest))
    if not kept:
        raise UserError(f"{printable(root.absolute())} has no image that can be read")
    return [item for item, _ in kept], [digest for _, digest in kept]


def refuse(bad: Bad, notes: list[str], why: str) -> None:
    """Raise UserError for an image that cannot be had, or note that it is left out."""
    if bad == "refuse":
        raise UserError(f"{why}; correct it, or say skip as data.options.bad to leave such images out")
    notes.append(f"{why}; left out")


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith((".", "__")))
    except OSError as error:
        raise UserError(f"cannot read the folder {printable(folder)}: {reason(error)}") from error


def _folders(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.is_dir()]


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in images.SUFFIXES and not path.name.startswith(".") and not path.is_dir()


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file has
        return False


def _listed(names: Iterable[object]) -> str:
    return ", ".join(printable(name) for name in names)
