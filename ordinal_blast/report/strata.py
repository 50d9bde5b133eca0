"""The primary measure for each clinic, instrument, or other kind of test example: whether a mean hides somebody.

Descriptive: intervals are not adjusted, and no stratum is tested against another.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from ordinal_blast.evaluation import jackknife, multireader, simultaneous
from ordinal_blast.evaluation.multireader import Contrast
from ordinal_blast.report import inference
from ordinal_blast.report.formats import count, listed
from ordinal_blast.report.results import Group, Results, patients_in
from ordinal_blast.types import NO_ID, TRUE

COLUMNS = (
    "stage",
    "task",
    "measure",
    "column",
    "stratum",
    "variant",
    "n",
    "units",
    "grades",
    "estimate",
    "low",
    "high",
)
COLUMNS += ("difference", "difference_low", "difference_high", "basis", "why", "warning")
MOST = 12  # values of a column beyond which it is no stratum
FEW = 30  # examples, or patients, below which an interval is known to be too sure
Row = dict[str, str | float | int]


def frame(results: Results) -> pd.DataFrame:
    """One row per stage, task, primary measure, stratum of a column, and variant; all examples come first, column "".

    A column is one of text or whole numbers, 2 to 12 of them, that travels along with the test examples. n: examples
    with a label; units: patients or treatments among them; grades: n of each. low and high: 95 % as in `means`, over
    the seeds that all variants finished and new examples as basis says. difference: to the reference. why: the reason
    that there is no interval; warning: the reason not to trust it. Empty where there are no columns, or cells were
    tested on different examples.
    """
    rows = [row for group in results.groups() for key in _primary(results, group) for row in _rows(results, group, key)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def within(name: str, column: np.ndarray, known: np.ndarray) -> dict[str, np.ndarray]:
    """The examples `[N]` of each stratum; none where the column is not one of few texts or whole numbers.

    Nor where it is the true grade of a task, which nobody knows of an example before it is graded.
    """
    if (
        name == "group"
        or name.endswith(TRUE)
        or column.ndim > 1
        or column.dtype.kind not in "Uiub"
        or (column.dtype.kind == "i" and (column < 0).any())
    ):
        return {}
    values = np.unique(column[known])
    if not 2 <= len(values) <= MOST:
        return {}
    return {"not known" if (text := str(value)).strip() in NO_ID else text: column == value for value in values}


def _primary(results: Results, group: Group) -> list[str]:
    """The primary measures of a task that have an interval."""
    declared = [measure for measure, task in results.primary if task in ("", group.task)]
    return [key for key in declared if key in multireader.MEASURES]


def _rows(results: Results, group: Group, key: str) -> Iterator[Row]:
    if not group.common or not group.same_examples:
        return
    split = group.cells[0].tested(group.stage)
    known = group.of(group.cells[0]).labels >= 0
    columns = {name: values for name, column in split.columns.items() if (values := within(name, column, known))}
    if not columns:
        return
    yield from _stratum(results, group, key, "", "all", known)
    for name, strata in columns.items():
        for stratum, chosen in strata.items():
            yield from _stratum(results, group, key, name, stratum, chosen & known)


def _stratum(results: Results, group: Group, key: str, column: str, stratum: str, chosen: np.ndarray) -> Iterator[Row]:
    labels = group.of(group.cells[0]).labels[chosen]
    patients = patients_in(group.cells[0].tested(group.stage), chosen)
    units = len(labels) if patients is None else int(patients.max()) + 1
    counts = np.bincount(labels, minlength=len(group.grades))
    place: Row = {
        "stage": group.stage,
        "task": group.task,
        "measure": key,
        "column": column,
        "stratum": stratum,
        "n": len(labels),
        "units": units,
        "grades": ", ".join(f"{grade} {n}" for grade, n in zip(group.grades, counts, strict=True)),
        "warning": _warning(units, patients is not None, counts, group),
    }
    if units < 2:
        return
    compared = inference.compared(group, key, chosen, patients, group.variants, group.common)
    ends = jackknife.bounds(key, len(group.grades))
    for position, variant in enumerate(group.variants):
        mean, gap = compared.mean(position), Contrast(*[math.nan] * 3, (math.nan, math.nan), math.nan, "")
        if variant != results.reference and results.reference in group.variants:
            gap = compared.difference(position, group.variants.index(results.reference))
        low, high = simultaneous.interval(mean, bounds=ends)
        yield place | {
            "variant": variant,
            "estimate": mean.estimate,
            "low": low,
            "high": high,
            "difference": gap.estimate,
            "difference_low": gap.ci[0],
            "difference_high": gap.ci[1],
            "basis": mean.basis,
            "why": mean.degenerate,
        }


def _warning(units: int, grouped: bool, counts: np.ndarray, group: Group) -> str:
    reasons = [f"only {count(units, 'group' if grouped else 'example')}"] if units < FEW else []
    if lacking := [grade for grade, n in zip(group.grades, counts, strict=True) if not n]:
        reasons.append(f"no {listed(lacking)}")
    return "; ".join(reasons)
