"""What a person reviews: images with what others said of them, from predictions, from a folder, or from a sheet."""

from __future__ import annotations

import dataclasses
import io
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ordinal_blast.data import annotations as by_people
from ordinal_blast.data import images, sheets
from ordinal_blast.data.images import printable
from ordinal_blast.data.sheets import shown
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.evaluation import raters, uncertainty
from ordinal_blast.record import Record, Split
from ordinal_blast.types import NO_ID, RATERS, Task

LABEL = "label"  # whose grade the label is, beside people with names
_QUALITY = 88  # of JPEG: grain of a microscope survives
Look = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Item:
    """An image as JPEG and what is known of it: columns that tell items apart, and per task what was said.

    people: grades by who gave them. network: its grade. probs: its probabilities `[K]`.
    """

    id: str
    picture: bytes
    columns: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    people: Mapping[str, Mapping[str, int]] = dataclasses.field(default_factory=dict)
    network: Mapping[str, int] = dataclasses.field(default_factory=dict)
    probs: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)


def disagreement(item: Item, task: Task) -> float | None:
    """Σ_{i<j} |g_i − g_j| over the number of pairs of who graded, 0 to K − 1; None for fewer than two.

    The network is one of them; the label is where there are no grades by people beside it.
    """
    people = item.people.get(task.name, {})
    grades = [grade for who, grade in people.items() if who != LABEL or len(people) == 1]
    grades += [item.network[task.name]] if task.name in item.network else []
    pairs = [abs(a - b) for a, b in itertools.combinations(grades, 2)]
    return sum(pairs) / len(pairs) if pairs else None


def entropy(item: Item, task: Task) -> float | None:
    """−Σ p log p of the network's probabilities over log K, 0 to 1; None where there are none."""
    if task.name not in item.probs:
        return None
    (value,) = uncertainty.entropy(item.probs[task.name][None], task.num_classes)
    return float(value / np.log(task.num_classes))


def position(item: Item, task: Task) -> float | None:
    """The label, else the mean of the people's grades, else the grade that the network expects; None without any."""
    people = item.people.get(task.name, {})
    if people:
        return float(people[LABEL] if LABEL in people else np.mean(list(people.values())))
    if task.name in item.probs:
        return float(item.probs[task.name] @ np.arange(task.num_classes))
    return None


def of_records(records: Sequence[Record], split: str, look: Look, pixels: int, most: int) -> tuple[list[Item], int]:
    """Items of a split by what the last stage of finished cells says of it, the first `most`, and how many there are.

    Probabilities are the mean over cells and the network's grade is their vote, of ties the lower. look: images uint8
    `[n, H, W, 1 or 3]` of ids `[n]`. Raises UsageError for a split that there is not, UserError for cells that were not
    tested on the same examples.
    """
    records = [one.by_id() for one in records]
    stage = list(records[0].models)[-1]
    parts = [one.models[stage].splits.get(split) if stage in one.models else None for one in records]
    there = next(iter(records[0].models.values())).splits
    for one, part in zip(records, parts, strict=True):
        if part is None:
            raise UsageError(f"{one.cell} has no {split} of {stage}: there are {', '.join(there)}")
        if not np.array_equal(part.ids, parts[0].ids) or part.tasks.keys() != parts[0].tasks.keys():  # type: ignore[union-attr]
            raise UserError(f"{one.cell} and {records[0].cell} did not grade the same examples: give --run one of them")
    whole = [part for part in parts if part is not None]
    first, items = whole[0], []
    columns, people = _columns(first), _people(first)
    voted = {name: raters.vote(np.stack([part.tasks[name].grades for part in whole], axis=1)) for name in first.tasks}
    probs = {
        name: np.mean([part.tasks[name].probs.astype(np.float64) for part in whole], axis=0) for name in first.tasks
    }
    for start in range(0, min(most, len(first.ids)), 64):
        rows = np.arange(start, min(start + 64, most, len(first.ids)))
        for row, frame in zip(rows, look(first.ids[rows]), strict=True):
            items.append(
                Item(
                    str(first.ids[row]),
                    jpeg(frame, pixels),
                    {name: (str(column[row]),) for name, column in columns.items()},
                    {name: of[row] for name, of in people.items()},
                    {name: int(of[row]) for name, of in voted.items()},
                    {name: of[row] / of[row].sum() for name, of in probs.items()},
                )
            )
    return items, len(first.ids)


def _columns(split: Split) -> dict[str, np.ndarray]:
    """What tells examples apart: the group, unless every example is its own, and other texts."""
    texts = {name: column for name, column in split.columns.items() if column.ndim == 1 and column.dtype.kind in "UT"}
    return {name: column for name, column in texts.items() if not np.array_equal(column, split.ids)}


def _people(split: Split) -> dict[str, list[dict[str, int]]]:
    """Per task and example, the label and the grades of several raters, where they are known."""
    people = {}
    for name, result in split.tasks.items():
        several = split.columns.get(f"{RATERS}{name}", np.empty((len(split.ids), 0), int))
        people[name] = [
            ({LABEL: int(label)} if label >= 0 else {})
            | {f"rater {r}": int(grade) for r, grade in enumerate(row, 1) if grade >= 0}
            for label, row in zip(result.labels, several, strict=True)
        ]
    return people


def of_input(
    path: Path, tasks: Sequence[Task], pixels: int, most: int, refuse: Callable[[UserError], None]
) -> tuple[list[Item], int]:
    """Items of an image, of the images below a folder, or of those that a sheet names, and how many there are.

    A sheet has a row an image: its path below the folder of the sheet, as `item`, `file` or `path`, columns of grades
    by the names of the tasks, and whatever else tells images apart, such as `group` and `clinic`. refuse: called with
    the error of an image that cannot be read; the others are shown. Raises UserError for what is none of these.
    """
    if path.is_dir():
        listed = list(_of_folder(path))
    elif path.suffix.lower() in sheets.SUFFIXES:
        listed = list(_of_sheet(path, tasks, refuse))
    else:
        listed = [(path, Item(printable(path.name), b""))]
    items: list[Item] = []
    total = len(listed)
    for file, item in itertools.takewhile(lambda _: len(items) < most, listed):
        try:
            items.append(dataclasses.replace(item, picture=jpeg(images.read(file).pixels, pixels)))
        except UserError as error:
            total -= 1
            refuse(error)
    return items, total


def _of_folder(root: Path) -> Iterator[tuple[Path, Item]]:
    """The images below a folder in order, hidden ones and what lies elsewhere by a link left out."""
    count = 0
    for place, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        for name in sorted(names):
            file = Path(place, name)
            if file.suffix.lower() in images.SUFFIXES and not name.startswith(".") and _below(root, file):
                inner = file.relative_to(root)
                folder = {"folder": (printable(inner.parent.as_posix()),)} if inner.parent != Path() else {}
                yield file, Item(printable(inner.as_posix()), b"", folder)
                count += 1
    if not count:
        raise UserError(f"{printable(root)} has no image: they end in {', '.join(images.SUFFIXES)}")


def _of_sheet(path: Path, tasks: Sequence[Task], refuse: Callable[[UserError], None]) -> Iterator[tuple[Path, Item]]:
    """The images that the rows of a sheet name, below its folder."""
    table = sheets.read(path)
    lower = [name.lower() for name in table.columns]
    paths = next((name for name in ("path", "file", "image", "item") if name in lower), None)
    if paths is None:
        raise UserError(
            f"{path} has no column path, file, image or item: it has {', '.join(map(shown, table.columns[:12]))}; name "
            "the images in one of these"
        )
    graded = {task.name: task for task in tasks}
    texts = {name: table.at(lower.index(name)) for name in (paths, "item") if name in lower}
    beside = {name: table.at(n) for n, name in enumerate(table.columns) if lower[n] not in texts}
    seen: dict[str, str] = {}
    for row, (place, file) in enumerate(zip(table.places, texts[paths], strict=True)):
        item = texts.get("item", texts[paths])[row]
        if item in NO_ID or item in seen:
            before = f"is named before, in {seen[item]}" if item in seen else "is no name"
            raise UserError(f"{place}: {shown(item) or 'an empty entry'} {before}: name every item once")
        seen[item] = place
        if not file or os.path.isabs(file) or not _below(path.parent, path.parent / file):
            refuse(UserError(f"{place}: {shown(file) or 'an empty entry'} is no image below {printable(path.parent)}"))
            continue
        people = {}
        for name in beside.keys() & graded.keys():
            if (text := beside[name][row]) not in sheets.MISSING:
                if text not in graded[name].grades:
                    raise UserError(
                        f"{place}, {name}: {shown(text)} is none of the grades {', '.join(graded[name].grades)}: "
                        f"correct it, or state the grades by --grades {name}=..."
                    )
                people[name] = {LABEL: graded[name].grades.index(text)}
        columns = {name: (of[row],) for name, of in beside.items() if name not in graded and of[row]}
        yield path.parent / file, Item(item, b"", columns, people)


def _below(root: Path, file: Path) -> bool:
    """Whether a file, wherever links lead, lies below a folder."""
    try:
        return file.resolve().is_relative_to(root.resolve())
    except (OSError, ValueError, RuntimeError):  # a name that no file has, links in a circle
        return False


def with_annotations(items: Sequence[Item], tasks: Sequence[Task], path: Path) -> tuple[list[Item], int]:
    """The items with the grades of a long table item, rater, task, value, and how many of its items are not here."""
    table = sheets.read(path, stated_by="saving it in UTF-8")
    named = {name for n, head in enumerate(table.columns) if head.lower() == "task" for name in table.at(n)}
    tasks = [task for task in tasks if task.name in named]
    said = by_people.read([path], grades={task.name: task.grades for task in tasks})
    rows = {item: n for n, item in enumerate(said.items)}
    shown_items = []
    for item in items:
        n = rows.pop(item.id, None)
        if n is None:
            shown_items.append(item)
            continue
        people = dict(item.people) | {
            task.name: {
                **item.people.get(task.name, {}),
                **{who: int(g) for who, g in zip(said.raters, said.grades[task.name][n], strict=True) if g >= 0},
            }
            for task in tasks
        }
        who = tuple(sorted({name for of in people.values() for name in of} - {LABEL}))
        shown_items.append(dataclasses.replace(item, people=people, columns={**item.columns, "rater": who}))
    return shown_items, len(rows)


def jpeg(frame: np.ndarray, pixels: int) -> bytes:
    """An image uint8 `[H, W, 1 or 3]` as JPEG, shrunk where a side is longer than `pixels`."""
    picture = Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame)
    picture.thumbnail((pixels, pixels))
    buffer = io.BytesIO()
    picture.save(buffer, format="jpeg", quality=_QUALITY)
    return buffer.getvalue()
