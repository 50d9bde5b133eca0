"""Which epoch is kept: every measure of the validation set has a direction, and only measures can be selected."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ordinal_blast.ranges import check, one_of

Line = Mapping[str, float | None]

LOSS = "val_loss"
HIGHER, LOWER = 1, -1


def check_selection(select: str, measures: Iterable[str]) -> None:
    """Raise UsageError that lists the choices unless `select` is the loss or one of the measures."""
    check("training.select", select, one_of(LOSS, *measures))


@dataclasses.dataclass(frozen=True)
class Monitor:
    """What is measured on the validation outputs after each epoch, beside the loss.

    directions: HIGHER or LOWER, whichever is better, under the name of each measure. sees(outputs, labels) is what they
    are measured by, computed where the outputs are; measure(seen), on the host, gives their values; NaN where one is
    undefined.
    """

    directions: Mapping[str, int]
    measure: Callable[[Any], Mapping[str, float]]
    sees: Callable[[Any, Any], Any] = lambda outputs, labels: outputs

    def best(self, history: Sequence[Line], select: str) -> int:
        """The first epoch (from 1) with the best value of `select`; 0 before any.

        An epoch where it is undefined is kept only where it is undefined in all; then the smallest loss decides.
        """
        direction = self.directions.get(select, LOWER)

        def badness(line: Line) -> tuple[float, float]:
            value = line[select]
            undefined = value is None or math.isnan(value)
            return (math.inf, line[LOSS]) if undefined else (-direction * value, 0.0)

        return int(min(history, key=badness)["epoch"]) if history else 0


NO_MEASURES = Monitor({}, lambda seen: {}, lambda outputs, labels: ())
