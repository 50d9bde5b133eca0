"""Example frames with the true grade and what each variant says, right or wrong by symbol and colour."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from ordinal_blast.errors import UserError
from ordinal_blast.report.blocks import Example, Strip
from ordinal_blast.report.compare import Study
from ordinal_blast.report.formats import MISSING
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.results import Cell, Group

LARGEST, MOST = 160, 8
VERDICTS = {"right": "✓", "near": "±1", "wrong": "✗", "unknown": "?"}


def strip(study: Study, studio: Studio) -> Strip | None:
    """The first frames stored by the first cell that has any, graded by the last stage of the same seed."""
    source = next((cell for cell in study.cells if cell.record.examples), None)
    if source is None:
        return None
    stage, kept = study.stages[-1], source.record.examples
    cells = [cell for cell in study.cells if cell.seed == source.seed]
    groups = [group for group in study.groups() if group.stage == stage and source in group.cells]
    examples = []
    for position, name in enumerate(kept.ids[:MOST]):
        truths = [(group.task.upper(), _true(source, group, name)) for group in groups]
        grades = [
            (studio.mark(cell.variant), cell.variant, [_graded(cell, group, name) for group in groups])
            for cell in cells
        ]
        said = ", ".join(f"{task} {grade}" for task, grade in truths)
        picture = studio.picture(
            f"example-{position}", _png(kept.frames[position]), f"Frame of {name}, true grades {said}"
        )
        examples.append(Example(picture, str(name), truths, grades))
    caption = (
        f"Test frames as graded by the {stage.upper()} of seed {source.seed}. "
        "✓ right, ±1 one grade off, ✗ further off, ? not known."
    )
    return Strip(caption, [group.task.upper() for group in groups], examples)


def _said(cell: Cell, group: Group, name: str) -> tuple[int, int]:
    """The label and the grade of a test example."""
    at = np.flatnonzero(group.ids(cell) == name)
    if not len(at):
        raise UserError(f"cell {cell.name}: example {name} is not in the test split of {group.stage}/{group.task}")
    result = group.of(cell)
    return int(result.labels[at[0]]), int(result.grades[at[0]])


def _true(cell: Cell, group: Group, name: str) -> str:
    label, _ = _said(cell, group, name)
    return group.grades[label] if label >= 0 else MISSING


def _graded(cell: Cell, group: Group, name: str) -> tuple[str, str]:
    """The grade, and the key of its verdict."""
    if cell not in group.cells:
        return MISSING, "unknown"
    label, grade = _said(cell, group, name)
    verdict = "unknown" if label < 0 else ("right", "near", "wrong")[min(abs(grade - label), 2)]
    return group.grades[grade], verdict


def _png(frame: np.ndarray) -> bytes:
    """A frame `[H, W]` or `[H, W, C]` as PNG: colour where C is 3, else the middle channel; uint8 as it is."""
    if frame.ndim == 2:
        frame = frame[..., None]
    if frame.shape[-1] != 3:
        frame = frame[..., frame.shape[-1] // 2]
    if frame.dtype != np.uint8:
        values = np.nan_to_num(frame.astype(np.float64), posinf=0.0, neginf=0.0)
        frame = np.round(255 * (values - values.min()) / (np.ptp(values) or 1.0)).astype(np.uint8)
    image = Image.fromarray(frame)
    image.thumbnail((LARGEST, LARGEST))
    buffer = io.BytesIO()
    image.save(buffer, format="png", optimize=True)
    return buffer.getvalue()
