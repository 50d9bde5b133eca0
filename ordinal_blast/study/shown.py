"""The images of a finished cell's examples, as its networks read them, to be looked at by a person."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ordinal_blast.data import material
from ordinal_blast.data.batches import fixed
from ordinal_blast.data.material import Material
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.study import grading, recipe, session
from ordinal_blast.study.grading import Opened
from ordinal_blast.study.recipe import Work
from ordinal_blast.types import INPUTS


class Reopened(NamedTuple):
    """The data of a finished cell, what its stages make of them, and how these "images" are shown, one after another.

    regions: where in the images of rows `[n]` what is graded lies, see `Stage.regions`.
    """

    material: Material
    values: Mapping[str, Any]
    looks: Sequence[Callable[[np.ndarray], np.ndarray]]
    regions: Callable[[np.ndarray], np.ndarray | None]


@contextlib.contextmanager
def images(cell: Path, trust: Path | None = None) -> Iterator[Callable[[np.ndarray], np.ndarray]]:
    """In this block, a function from ids `[n]` to images uint8 `[n, H, W, 1 or 3]` of a finished cell's examples.

    trust: as for `grading.grade`. Raises as `reopened` does.
    """
    with grading.opened(cell, trust) as opened:
        again = reopened(opened)
        rows = {str(name): row for row, name in enumerate(again.values["id"])}

        def look(ids: np.ndarray) -> np.ndarray:
            shown = np.asarray(again.values["images"](np.array([rows[str(name)] for name in ids]), None))
            for change in again.looks:
                shown = change(shown)
            if shown.dtype != np.uint8 or shown.ndim != 4 or shown.shape[-1] not in (1, 3):
                raise UsageError(
                    f"{cell} reads images {shown.dtype} {shown.shape[1:]}, which are no pictures to look at"
                )
            return shown

        yield look


def reopened(opened: Opened) -> Reopened:
    """The images of a finished cell's examples, in the block of `grading.opened`.

    Of the data where these are images, else of the last stage that makes some, which has to lie with the run; nothing
    is built but the data set. Raises UsageError for a cell that grades no images, UserError where stages are gone or
    the data are not what they were.
    """
    chosen, cell = opened.settings, opened.record.cell
    opened_data = material.open(chosen.data, chosen.tasks)
    if opened_data.identity != opened.record.identity["data"]:
        raise UserError(f"the data of {cell} are not those that it was made of: restore them, or run it again")
    columns = opened_data.dataset.columns
    values: dict[str, Any] = {**columns, **{name: fixed(columns[name]) for name in INPUTS if name in columns}}
    work = Work(opened_data, recipe.goal(chosen), {}, session.begin(chosen.devices))
    looks: list[Callable[[np.ndarray], np.ndarray]] = []
    regions: Callable[[np.ndarray], np.ndarray | None] = _unknown
    last = max((n for n, (stage, _) in enumerate(opened.chain) if "images" in stage.makes), default=-1)
    for stage, folder in opened.chain[: last + 1]:
        if not folder.is_dir():
            raise UserError(f"{folder}, which makes the images of {cell}, is gone: restore it, or run it again")
        inputs = {name: values[name] for name in stage.reads}
        values |= recipe.opened(stage, inputs, folder, work)
        if "images" in stage.makes:
            looks.append(stage.show)
            regions = functools.partial(stage.regions, inputs=inputs, folder=folder, work=work)
    if "images" not in values:
        raise UsageError(f"{cell} grades no images: there is nothing to look at")
    return Reopened(opened_data, values, looks, regions)


def _unknown(rows: np.ndarray) -> None:
    del rows
