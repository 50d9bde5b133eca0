"""The predictions that Kromp et al. (2023) published, as a table that `report.imported` reads, beside their raters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from ordinal_blast.data.annotations import Annotations
from ordinal_blast.embryo import kromp_raters
from ordinal_blast.embryo.kromp_raters import CODES, GRADES
from ordinal_blast.errors import UsageError
from ordinal_blast.report.imported import About

ABOUT = About(
    "kromp2023",
    "gold test set of 300 images of blastocysts, graded by published networks of the authors; probabilities of A, B "
    "and C are over their sum, without that of “not defined”; images that the experts call NA or ND have no label",
    "gold standard CC BY 4.0 (figshare 20123153); the files of single raters and networks state none: of them only "
    "aggregates are shown",
    "Kromp et al. 2023, Scientific Data 10:271, doi 10.1038/s41597-023-02182-3",
)


class Published(NamedTuple):
    """A table of predictions, what people said of the same images, and whose grades the authors' vote counts."""

    predictions: pd.DataFrame
    raters: Annotations
    votes: tuple[str, ...]


def read(paths: Sequence[Path]) -> Published | None:
    """What files and folders of theirs hold; None where one of the paths is none of theirs.

    A network whose file of a task lacks probabilities is left out there. Raises UsageError where networks or the gold
    standard are missing, and UserError as `kromp_raters.read`.
    """
    theirs = [kromp_raters.files([path]) if path.exists() else [] for path in paths]
    if not all(theirs):
        return None
    files = [file for some in theirs for file in some]
    panel, networks = kromp_raters.read(files), [file for file in files if file.is_dir()]
    if not networks or not panel.released_as:
        what = "Gardner_test_gold.xlsx, or the CSV of the same," if networks else "the folder model_predictions"
        raise UsageError(f"of the files of Kromp et al., {what} is missing: give it too")
    said = panel.annotations
    gold, images = said.raters.index(panel.released_as), {item: n for n, item in enumerate(said.items)}
    rows: list[dict[str, Any]] = []
    for folder in networks:
        for task, grades in GRADES.items():
            predicted = list(kromp_raters.probabilities(folder, task))
            if any(math.isnan(prob) for _, _, probs in predicted for prob in probs):
                continue
            for _, item, probs in predicted:
                label, total = int(said.grades[task][images[item], gold]), math.fsum(probs)
                row = {"item": item, "variant": folder.name, "task": task, "group": item.rpartition("_")[0]}
                row["label"] = grades[label] if label >= 0 else ""
                rows.append(row | {f"p_{grade}": p / total for grade, p in zip(CODES[task], probs, strict=False)})
    order = ["item", "variant", "task", "label", "group"]
    order += [f"p_{grade}" for grade in dict.fromkeys(grade for grades in GRADES.values() for grade in grades)]
    return Published(pd.DataFrame(rows)[order], said, panel.voters)
