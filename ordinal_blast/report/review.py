"""One offline page on which a person grades images by keyboard: all of it in one file, nothing of it from elsewhere."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import markupsafe

from ordinal_blast import record
from ordinal_blast.errors import UsageError, UserError, reason
from ordinal_blast.ranges import check, whole
from ordinal_blast.report import markup, review_items, theme
from ordinal_blast.report.formats import count
from ordinal_blast.report.review_items import Item, disagreement, entropy, position
from ordinal_blast.storage import atomic, digest
from ordinal_blast.types import Task

GENERATOR = "ordinal_blast review"
MOST_VALUES = 1000  # of a column that items are filtered by: a list of more is no help
OPINIONS = "the people who graded it, the label where it has no other grade by people, and the network as one"


def review(
    out: Path,
    *,
    input: Path | None = None,
    run: Path | None = None,
    grades: Mapping[str, Sequence[str]] | None = None,
    annotations: Path | None = None,
    rater: str = "",
    split: str = "test",
    most: int = 2000,
    pixels: int = 256,
    trust: Path | None = None,
    refuse: Callable[[UserError], None] | None = None,
) -> str:
    """Write the page `out` of the images of `input`, a folder or a sheet (`review_items.of_input`), or of `run`.

    run: a finished cell, or a work directory, whose cells count as one network. grades: of the tasks of `input`, worst
    first. annotations: grades by people, a long table. rater: who grades, "" to be said on the page. trust: as for
    `grade`. refuse: called with the error of an image that cannot be read; without it the error is raised. Returns what
    was written, in lines. Raises UsageError and UserError for what cannot be shown.
    """
    check("most", most, whole(1))
    check("pixels", pixels, whole(16, 4096))
    if (run is None) == (input is None):
        raise UsageError("review shows the images of --run DIR, or those of an INPUT: give one of the two")
    check_out(out)
    if input is not None:
        tasks = tuple(Task(name, tuple(names)) for name, names in (grades or {}).items())
        if not tasks:
            raise UsageError(f"what of {input} is graded? Name it, and its grades, worst first: --grades icm=C,B,A")
        items, total = review_items.of_input(input, tasks, pixels, most, refuse or _raise)
        title = input.absolute().name
    else:
        assert run is not None
        if grades:
            raise UsageError("--grades names those of an INPUT: a run has its own")
        items, total, tasks, title = _of_run(run, split, most, pixels, trust)
    if not items:
        raise UserError(f"{input or run} has no image that can be read: give PNG, JPEG, TIFF, BMP, WebP or GIF")
    notes = [f"the first {len(items)} of {total} images are shown"] if len(items) < total else []
    if annotations is not None:
        items, elsewhere = review_items.with_annotations(items, tasks, annotations)
        if elsewhere == 0 or any("rater" in item.columns for item in items):
            notes += [f"{count(elsewhere, 'item')} of {annotations} not among them"] if elsewhere else []
        else:
            raise UserError(
                f"{annotations} grades none of the images: its items are to be named as they are here, "
                f"such as {items[0].id}"
            )
    write(out, html(items, tasks, title=f"Review: {title}", rater=rater, notes=notes))
    return "\n".join([*(f"note: {note}" for note in notes), f"Page: {out} ({count(len(items), 'image')})"])


def _raise(error: UserError) -> None:
    raise error


def _of_run(
    run: Path, split: str, most: int, pixels: int, trust: Path | None
) -> tuple[list[Item], int, tuple[Task, ...], str]:
    """Items of a run, how many there are, their tasks, and a title."""
    from ordinal_blast.study import shown  # with JAX, which a folder does without

    if names := record.read_questions(run):
        raise UsageError(f"{run} holds several questions ({', '.join(names)}): give --run {run / names[0]}")
    if record.finished(run):
        cells = [run]
    elif not (run / record.PLAN).exists():
        raise UsageError(f"--run {run} {record.NO_RUN}, or a finished cell of it")
    else:
        planned = [record.folder_of(run, name) for name in record.read_plan(run)["cells"]]
        cells = [cell for cell in planned if record.finished(cell)]
    if not cells:
        raise UsageError(f"{run}: no cell has finished")
    records = [record.read(cell) for cell in cells]
    if records[0].provenance["device"] == record.ELSEWHERE:
        raise UsageError(f"--run {run} holds predictions that were made elsewhere, without images: give these as INPUT")
    with shown.images(cells[0], trust) as look:
        items, total = review_items.of_records(records, split, look, pixels, most)
    return items, total, records[0].tasks, f"{records[0].dataset['name']}, {split}"


def write(out: Path, page: str) -> None:
    """Write a page; raises UserError where something else is there, or nothing can be written."""
    check_out(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with atomic(out) as stream:
            stream.write(page.encode())
    except OSError as error:
        raise UserError(f"cannot write --out {out}: {reason(error)}; give another file") from error


def check_out(out: Path) -> None:
    """Raise UserError where `out` is there and no page of this kind: those are replaced."""
    if not os.path.lexists(out):
        return
    if out.is_file():
        with contextlib.suppress(OSError), out.open("rb") as stream:
            if f'content="{GENERATOR}"'.encode() in stream.read(1000):
                return
    raise UserError(f"--out {out} is there and no page that review wrote: give another file, or remove it")


def html(items: Sequence[Item], tasks: Sequence[Task], *, title: str, rater: str, notes: Sequence[str]) -> str:
    """The page. A browser keeps grades under the names of its items and tasks: a new page of the same goes on."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ordinal_blast.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=markup.html,
    )
    environment.globals |= {"theme": theme}
    script = environment.loader.get_source(environment, "review.js")[0] if environment.loader else ""
    hashed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("review.html.j2").render(
        generator=GENERATOR,
        title=title,
        rater=rater,
        notes=notes,
        opinions=OPINIONS,
        hash=f"sha256-{hashed}",
        script=markupsafe.Markup(script),
        data=markupsafe.Markup(_inert(_data(items, tasks))),
    )


def _inert(value: Any) -> str:
    """JSON in which nothing ends or begins an element of HTML."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _data(items: Sequence[Item], tasks: Sequence[Task]) -> dict[str, Any]:
    names = [(task.name, task.grades) for task in tasks]
    return {
        "key": f"ordinal_blast review {digest([[item.id for item in items], names])}",
        "tasks": [{"name": task.name, "grades": list(task.grades)} for task in tasks],
        "filters": [{"name": name, "values": values} for name, values in _filters(items).items()],
        "items": [
            {
                "id": item.id,
                "image": f"data:image/jpeg;base64,{base64.b64encode(item.picture).decode()}",
                "columns": {name: list(values) for name, values in item.columns.items()},
                "tasks": [_of_task(item, task) for task in tasks],
            }
            for item in items
        ],
    }


def _of_task(item: Item, task: Task) -> dict[str, Any]:
    probs = item.probs.get(task.name)
    return {
        "people": [[who, grade] for who, grade in item.people.get(task.name, {}).items()],
        "network": item.network.get(task.name),
        "probs": None if probs is None else [round(float(share), 4) for share in probs],
        "disagreement": disagreement(item, task),
        "entropy": entropy(item, task),
        "grade": position(item, task),
    }


def _filters(items: Sequence[Item]) -> Mapping[str, list[str]]:
    """The values of every column that tells items apart, in order."""
    values: dict[str, set[str]] = {}
    for item in items:
        for name, of in item.columns.items():
            values.setdefault(name, set()).update(of)
    return {name: sorted(of) for name, of in values.items() if 1 < len(of) <= MOST_VALUES}
