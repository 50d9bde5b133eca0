"""Sets of grades for new examples, by what a finished cell said of its validation examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ordinal_blast.errors import UsageError
from ordinal_blast.evaluation import conformal
from ordinal_blast.evaluation.conformal import Conformal
from ordinal_blast.record import Record

METHOD = "lac"  # of `conformal.METHODS`: the smallest sets on average


def check_level(level: float) -> None:
    """Raise UsageError for a chance that no set can have; 0 asks for none."""
    if not 0 <= level < 1:
        raise UsageError(f"--level is {level:g}: the sets of grades hold the true one with a chance in 0 ... 1")


def calibrated(members: Sequence[Record], model: str, level: float) -> dict[str, Conformal]:
    """By task, what the validation examples say of sets that hold the true grade with a chance of `level`.

    members: the cells whose mean probabilities are asked for, one alone or several seeds. Nothing for a level of 0, for
    a task without labels there, and where the members were validated on different examples.
    """
    splits = [member.models[model].splits.get("val") for member in members]
    vals = [split for split in splits if split is not None]
    if not level or len(vals) < len(members) or any(not np.array_equal(val.ids, vals[0].ids) for val in vals):
        return {}
    known: Mapping[str, np.ndarray] = {task: result.labels >= 0 for task, result in vals[0].tasks.items()}
    return {
        task: conformal.calibrate(
            vals[0].tasks[task].labels[kept],
            np.mean([val.tasks[task].probs[kept].astype(np.float64) for val in vals], axis=0),
            vals[0].tasks[task].task.num_classes,
            METHOD,
            level,
        )
        for task, kept in known.items()
        if kept.any()
    }
