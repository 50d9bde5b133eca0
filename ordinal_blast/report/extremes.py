"""Is the best taken for the worst? Confusions by the whole scale, and accuracy without the grades between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from ordinal_blast.evaluation import ratios
from ordinal_blast.report.measures import LEVEL
from ordinal_blast.report.quantities import COLUMNS, enough, of_test, patients, row
from ordinal_blast.report.results import Group, Results

CONFUSED, CHOSEN, BOTH = "confused", "chosen", "both extreme"


def frame(results: Results) -> pd.DataFrame:
    """Three quantities per stage, task and variant, of test examples with a label; a grade is extreme if best or worst.

    confused: the share of all that are annotated one extreme and graded the other. chosen: of those annotated an
    extreme, the share where it is the likelier of the two (equally likely counts half), whatever the grade. both
    extreme: of those annotated an extreme and graded one, the share where it is the same. With intervals over new
    examples and seeds. Empty for two grades, and where cells were tested on different examples.
    """
    rows = [
        one
        for group in results.groups()
        if len(group.grades) > 2 and group.same_examples
        for variant in group.variants
        for one in _rows(group, variant)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rows(group: Group, variant: str) -> Iterator[dict[str, Any]]:
    labels, top = group.of(group.cells[0]).labels, len(group.grades) - 1
    for quantity, chosen in {CONFUSED: labels >= 0, CHOSEN: np.isin(labels, (0, top))}.items():
        n, units = int(chosen.sum()), patients(group, chosen)
        if not enough(units, n):
            continue
        said, truth = of_test(group, variant, chosen), labels[chosen]
        shares: dict[str, tuple[np.ndarray, np.ndarray]]
        if quantity == CONFUSED:
            shares = {CONFUSED: (np.abs(said["grades"] - truth) == top, np.ones(n))}
        else:
            best, worst = said["probs"][..., top].astype(float), said["probs"][..., 0].astype(float)
            likelier = np.where(best == worst, 0.5, (best > worst) == (truth == top))
            extreme = np.isin(said["grades"], (0, top))
            shares = {CHOSEN: (likelier, np.ones(n)), BOTH: (extreme & (said["grades"] == truth), extreme)}
        for name, (parts, wholes) in shares.items():
            counted = np.asarray(wholes, float)
            reached = np.broadcast_to(counted, parts.shape).any(axis=0)
            if enough(None if units is None else units[reached], int(reached.sum())):
                one = ratios.compare(parts[None], counted, cases=units, confidence=LEVEL)
                yield row(group, variant, name, one.mean(0), one, int(reached.sum()), (0.0, 1.0))
