"""What Kragh et al. (2019) claim, and what the studies of a page say of it: differences, adjusted for all of a kind.

A claim is that one variant grades better than another; where it is of both tasks, the rival may be another for each.
Verdicts are those of `report/verdicts.py` and come from the adjusted interval alone: over new seeds and new embryos, or
their treatments, at once.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence

from ordinal_blast.embryo import paper
from ordinal_blast.embryo.paper import LOSS
from ordinal_blast.report import contrasts
from ordinal_blast.report.compare import Study
from ordinal_blast.report.contrasts import Asked, Judged
from ordinal_blast.report.measures import PRIMARY, Measure

MEASURES = tuple(measure for measure in PRIMARY if measure.key in paper.MEASURES)


@dataclasses.dataclass(frozen=True)
class Claim:
    """That a variant of a stage grades better than its rival, of each task; kind: what is adjusted together."""

    kind: str
    text: str
    stage: str
    variant: str
    rivals: Mapping[str, str]


def _claim(kind: str, text: str, stage: str, variant: str, rival: str) -> Claim:
    return Claim(kind, text, stage, variant, dict.fromkeys(paper.TASKS, rival))


LOSSES, TIME, TASKS = "The loss (table 7)", "Time (table 3)", "Two tasks (table 4)"
_ALONE = {"icm": "ICM alone", "te": "TE alone"}
_BETTER = "The ordinal cross-entropy grades better than"
CLAIMS = (
    _claim(LOSSES, f"{_BETTER} the categorical cross-entropy", "cnn", LOSS, "cross_entropy"),
    _claim(LOSSES, f"{_BETTER} the ordinal binary decomposition", "cnn", LOSS, "binary_decomposition"),
    _claim(LOSSES, f"{_BETTER} the thresholded regression", "cnn", LOSS, "thresholded_regression"),
    _claim(
        LOSSES,
        f"Not in the paper: {_BETTER.lower()} the categorical cross-entropy that decides its median",
        "cnn",
        LOSS,
        "cross_entropy median",
    ),
    _claim(TIME, "The recurrent network on a sequence grades better than the CNN at tA", "grader", "RNN", "CNN at tA"),
    *(
        _claim(TIME, f"The CNN grades better at tA than at {time}", "grader", "CNN at tA", f"CNN at {time}")
        for time in ("105 hpi", "110 hpi", "115 hpi", "120 hpi", "tMEB")
    ),
    Claim(TASKS, "The CNN grades better when it learns both tasks than one", "cnn", "ICM and TE", _ALONE),
    Claim(TASKS, "The recurrent network grades better when it learns both tasks", "rnn", "ICM and TE", _ALONE),
)


@dataclasses.dataclass(frozen=True)
class Said(Judged):
    """What a study says of a claim for one task and measure: variant less rival, and the same in the paper."""

    claim: Claim
    task: str
    measure: Measure
    paper: float


def said(studies: Sequence[Study]) -> list[Said]:
    """What the studies say of every claim of which one has both variants, kind by kind, in the order of CLAIMS."""
    answers = []
    for kind in dict.fromkeys(claim.kind for claim in CLAIMS):
        asked = [one for claim in CLAIMS if claim.kind == kind for one in _asked(claim, studies)]
        for (claim, one), judged in zip(asked, contrasts.judge([one for _, one in asked]), strict=True):
            task, measure = one.group.task, one.measure
            published = _published(claim, task, measure.key)
            answers.append(Said(**vars(judged), claim=claim, task=task, measure=measure, paper=published))
    return answers


def _asked(claim: Claim, studies: Sequence[Study]) -> Iterator[tuple[Claim, Asked]]:
    """The comparisons of a claim, each in the first study that has both variants."""
    for task, rival in claim.rivals.items():
        place = claim.stage, task
        groups = [group for study in studies for group in study.groups() if (group.stage, group.task) == place]
        for measure in MEASURES:
            asked = (contrasts.ask(group, measure, [claim.variant], [rival]) for group in groups)
            if first := next(filter(None, asked), None):
                yield claim, first


def _published(claim: Claim, task: str, measure: str) -> float:
    """The difference in the paper; NaN where it has not both."""
    own, rival = (
        next(
            (
                line.values[measure, task]
                for table in paper.TABLES
                for line in table.lines
                if (claim.stage, variant) in line.places and (measure, task) in line.values
            ),
            math.nan,
        )
        for variant in (claim.variant, claim.rivals[task])
    )
    return own - rival
