"""Example frames with the true grade and what each variant says, right or wrong by symbol and colour."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from ordinal_blast.report.blocks import Example, Strip
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.rankings import TEST
from ordinal_blast.report.results import Cell, Study

LARGEST, MOST = 160, 8
VERDICTS = {"right": "✓", "near": "±1", "wrong": "✗", "unknown": "?"}


def strip(study: Study, studio: Studio) -> Strip | None:
    """The first frames stored by the first cell that has any, graded by the last model of the same seed."""
    source = next((cell for cell in study.cells if "examples/frames" in cell.predictions), None)
    if source is None:
        return None
    model = study.models[-1]
    cells = [cell for cell in study.cells if cell.seed == source.seed]
    grades = {group.task: group.grades for group in study.groups() if group.model == model}
    frames, ids = source.predictions["examples/frames"], source.predictions["examples/ids"]
    examples = []
    for position, (frame, name) in enumerate(zip(frames[:MOST], ids[:MOST], strict=True)):
        truths = [(task, _grade(source, model, task, name, "labels", grades[task])) for task in grades]
        verdicts = [
            (
                studio.mark(cell.variant),
                cell.variant,
                [_verdict(cell, model, task, name, grades[task]) for task in grades],
            )
            for cell in cells
        ]
        said = ", ".join(f"{task.upper()} {grade}" for task, grade in truths)
        picture = studio.picture(f"example-{position}", _png(frame), f"Frame of {name}, true grades {said}")
        examples.append(Example(picture, str(name), truths, verdicts))
    caption = (
        f"Test frames as graded by the {model.upper()} of seed {source.seed}. "
        "✓ right, ±1 one grade off, ✗ further off, ? not labelled."
    )
    return Strip(caption, [task.upper() for task in grades], examples)


def _index(cell: Cell, model: str, task: str, name: str) -> int:
    found = np.flatnonzero(cell.predictions[f"{model}/{TEST}/{task}/ids"] == name)
    if not len(found):
        raise ValueError(f"cell {cell.name}: example {name!r} is not in the test split of {model}/{task}")
    return int(found[0])


def _grade(cell: Cell, model: str, task: str, name: str, field: str, grades: tuple[str, ...]) -> str:
    value = int(cell.predictions[f"{model}/{TEST}/{task}/{field}"][_index(cell, model, task, name)])
    return grades[value] if value >= 0 else VERDICTS["unknown"]


def _verdict(cell: Cell, model: str, task: str, name: str, grades: tuple[str, ...]) -> tuple[str, str]:
    """The grade given, and the key of its verdict."""
    index = _index(cell, model, task, name)
    label, given = (int(cell.predictions[f"{model}/{TEST}/{task}/{key}"][index]) for key in ("labels", "grades"))
    kind = "unknown" if label < 0 else ("right", "near", "wrong")[min(abs(given - label), 2)]
    return grades[given], kind


def _png(frame: np.ndarray) -> bytes:
    image = Image.fromarray(frame.squeeze(-1) if frame.shape[-1] == 1 else frame)
    image.thumbnail((LARGEST, LARGEST))
    buffer = io.BytesIO()
    image.save(buffer, format="png", optimize=True)
    return buffer.getvalue()
