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
from ordinal_blast.evaluation import jackknife
from ordinal_blast.report import inference, verdicts
from ordinal_blast.report.compare import Study
from ordinal_blast.report.inference import PLUS, Tested
from ordinal_blast.report.measures import PRIMARY, Measure
from ordinal_blast.report.results import Group

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
class Said:
    """What a study says of a claim for one task and measure: variant less rival, and the same in the paper.

    low, high: the interval, adjusted for the `comparisons` of its kind. verdict: of `report/verdicts.py`.
    """

    claim: Claim
    task: str
    measure: Measure
    paper: float
    mean: float
    low: float
    high: float
    verdict: str
    why: str
    comparisons: int
    seeds: int
    n: int


def said(studies: Sequence[Study]) -> list[Said]:
    """What the studies say of every claim of which one has both variants, kind by kind, in the order of CLAIMS."""
    answers = []
    for kind in dict.fromkeys(claim.kind for claim in CLAIMS):
        asked = [one for claim in CLAIMS if claim.kind == kind for one in _asked(claim, studies)]
        adjusted, size, _ = verdicts.adjust([tested for *_, tested in asked])
        answers += [_said(*one, limits, size) for one, limits in zip(asked, adjusted, strict=True)]
    return answers


def _asked(claim: Claim, studies: Sequence[Study]) -> Iterator[tuple[Claim, Group, Measure, Tested]]:
    """The comparisons of a claim, each in the first study that has both variants."""
    for task, rival in claim.rivals.items():
        for measure in MEASURES:
            groups = (
                group
                for study in studies
                for group in study.groups()
                if (group.stage, group.task) == (claim.stage, task)
            )
            compared = ((group, inference.contrasted(group, measure, [claim.variant], [rival])) for group in groups)
            yield from [(claim, group, measure, tested) for group, tested in compared if tested is not None][:1]


def _said(claim: Claim, group: Group, measure: Measure, tested: Tested, limits: verdicts.Adjusted, size: int) -> Said:
    ends = jackknife.bounds(measure.key, len(group.grades))
    numbers = verdicts.difference(tested, PLUS, limits, size, ends)
    judged = verdicts.judgement(tested, PLUS, limits, higher=measure.higher)
    return Said(
        claim,
        group.task,
        measure,
        _published(claim, group.task, measure.key),
        numbers["mean"],
        numbers["low_adjusted"],
        numbers["high_adjusted"],
        judged["verdict"],
        judged["why"],
        size,
        len(tested.seeds[PLUS]),
        int(group.known.sum()),
    )


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
