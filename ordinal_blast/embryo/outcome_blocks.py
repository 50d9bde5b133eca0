"""Fetal heartbeat by quality groups, of the embryologist and of each network, on one ROC (figure 5 of the paper).

The embryologist's grades are the same whatever the seed, and stand beside each of a network's seeds alike: see
`evaluation/left_out.py` for why differences to them then have the variance that they should have. Measured, of nominal
.95, on 2,000 studies of a kind (60 and 140 treatments of one to three embryos, 3 and 5 seeds that vary little to much):
areas are covered in .94 to .98 of the studies, differences in .94 to .98.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ordinal_blast.embryo import paper
from ordinal_blast.embryo.outcome import QUALITY_GROUPS, quality_group
from ordinal_blast.evaluation import roc, simultaneous
from ordinal_blast.evaluation.multireader import Contrast
from ordinal_blast.report import figures, inference, pairing, theme, verdicts
from ordinal_blast.report.blocks import Block, Entry, Gallery, Line, Part, Picture, Table
from ordinal_blast.report.compare import Study
from ordinal_blast.report.comparison import foremost
from ordinal_blast.report.formats import MISSING, count, interval, number, p_value
from ordinal_blast.report.inference import Tested
from ordinal_blast.report.measures import LEVEL
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.rankings import Ranking, ranking, units
from ordinal_blast.report.results import Group, patients_in
from ordinal_blast.types import RATERS

OUTCOME = "fetal_heartbeat"  # the column: 1, 0, or −1 where no embryo was transferred
HUMAN, GROUPS, FINER = "embryologist", "network, quality groups", "network, expected grades"
MOST = 6  # variants with a figure; of more, the reference and the best of each measure
COVERS = (
    "Quality groups (top, TQB: A/A; good, GQB: A/B, B/A and B/B; poor, PQB: any C) rank embryos as in figure 5 of the "
    "paper, by three points; the finer score is the sum of the expected grades of ICM and TE. Differences of areas "
    "have DeLong’s covariances, with treatments as clusters (Obuchowski) and seeds as readers: their 95 % intervals "
    "cover new treatments and new seeds, and not another embryologist. They are adjusted for all differences of the "
    "table."
)


def blocks(study: Study, stage: str, studio: Studio) -> list[Block]:
    """The ROC of embryologist and networks of one stage; nothing where ICM, TE or the outcome are not known."""
    if (both := graded(study, stage)) is None:
        return []
    icm, te = both
    questions = {variant: one for variant in icm.variants if (one := question(icm, te, variant)) is not None}
    if not questions:
        return []
    tests = {
        v: (inference.ranked(one, HUMAN), inference.ranked(_networks(one), GROUPS)) for v, one in questions.items()
    }
    adjusted, size, _ = verdicts.adjust([test for both in tests.values() for test in both])
    limits = dict(zip(((v, place) for v in tests for place in (0, 1)), adjusted, strict=True))
    lines = [_line(v, tests[v], (limits[v, 0], limits[v, 1]), studio) for v in tests]
    any_question = next(iter(questions.values()))
    own = next(iter(tests.values()))[0].own[HUMAN]
    whose = "" if any_question.clusters is None else f" of {units(any_question.clusters)}"
    cases = f"{any_question.labels.sum()} with a heartbeat"
    caption = (
        f"Areas under the ROC: {count(len(any_question.labels), 'test embryo')}{whose}, {cases}; "
        f"{count(size, 'difference')}. {COVERS}"
    )
    header = ["Groups", "Expected", "Groups − human", "Expected − human", "Expected − groups"]
    human = Line(HUMAN, [Entry(*_area(own)), *[Entry(MISSING)] * 4], aside=True)
    said = [Entry(number(paper.AREAS["model"], 2)), Entry(MISSING)]
    gap = paper.AREAS["model"] - paper.AREAS["human"]
    said += [Entry(number(gap, 2, sign=True), f"p {p_value(paper.AREAS_P)}"), Entry(MISSING), Entry(MISSING)]
    published = Line(f"paper, RNN (embryologist {number(paper.AREAS['human'], 2)})", said, aside=True)
    table = Table(caption, ["Variant", *header], [*lines, human, published])
    shown = [variant for variant in foremost(study, icm, MOST) if variant in questions]
    pictures = [_picture(stage, v, questions[v], tests[v][0], studio) for v in shown]
    gallery = Gallery(
        "ROC of fetal heartbeat: the embryologist’s three points, and for each network the mean of its seeds’ curves, "
        "by quality groups and by expected grades.",
        pictures,
        "medium",
    )
    return [Part(f"{stage.upper()}: embryologist and network", [gallery, table])]


class Bounded(NamedTuple):
    """A number with its interval; NaN where it has none."""

    mean: float
    low: float
    high: float


def compared(study: Study, stage: str, variant: str) -> tuple[Bounded, Bounded] | None:
    """The area of a network's quality groups, and that less the embryologist's, adjusted for both scores of it.

    None where it has not been graded, or the outcome is not known.
    """
    both = graded(study, stage)
    if both is None or variant not in both[0].variants or (asked := question(*both, variant)) is None:
        return None
    tested = inference.ranked(asked, HUMAN)
    (adjusted,), _, _ = verdicts.adjust([tested])
    own, gap = tested.own[GROUPS], tested.differences[GROUPS]
    low, high, _ = verdicts.within(adjusted.get(GROUPS, (math.nan,) * 3), (0.0, 1.0))
    return Bounded(own.estimate, *_ends(own)), Bounded(gap.estimate, low, high)


def graded(study: Study, stage: str) -> tuple[Group, Group] | None:
    """ICM and TE of a stage, each on the same examples over all cells and in three grades; None where it has not."""
    groups = {group.task: group for group in study.groups() if group.stage == stage}
    if not {*paper.TASKS} <= {*groups} or not all(
        len(groups[task].grades) == len(QUALITY_GROUPS) and groups[task].same_examples for task in paper.TASKS
    ):
        return None
    icm, te = (groups[task] for task in paper.TASKS)
    return icm, te


def question(icm: Group, te: Group, variant: str, *, rater: int | None = None, split: str = "test") -> Ranking | None:
    """Heartbeat of the transferred embryos whose grades are known, by the embryologist and by both network scores.

    rater: which of several embryologists, instead of the labels.
    """
    if variant not in te.variants:
        return None
    first, other = (group.cells[0].record.models[group.stage].splits.get(split) for group in (icm, te))
    if first is None or other is None or OUTCOME not in first.columns or not np.array_equal(first.ids, other.ids):
        return None
    columns = [first.tasks[icm.task].labels, other.tasks[te.task].labels]
    if rater is not None:
        columns = [first.columns[f"{RATERS}{group.task}"][:, rater] for group in (icm, te)]
    known = (first.columns[OUTCOME] >= 0) & (columns[0] >= 0) & (columns[1] >= 0)
    seeds = pairing.common({"icm": icm.seeds[variant], "te": te.seeds[variant]})
    if not known.any() or not seeds:
        return None
    grades = [group.seeded(variant, seeds, "grades", split)[:, known] for group in (icm, te)]
    probs = [group.seeded(variant, seeds, "probs", split)[:, known].astype(np.float64) for group in (icm, te)]
    finer = np.sum([p @ np.arange(p.shape[-1]) for p in probs], axis=0)
    human = quality_group(*(labels[known] for labels in columns)).astype(np.float64)
    scores = {HUMAN: dict.fromkeys(seeds, human)}
    scores[GROUPS] = {seed: quality_group(a, b).astype(float) for seed, a, b in zip(seeds, *grades, strict=True)}
    scores[FINER] = dict(zip(seeds, finer, strict=True))
    return ranking(
        "fetal heartbeat", first.columns[OUTCOME][known] == 1, scores, patients_in(first, known), icm.planned
    )


def _networks(question: Ranking) -> Ranking:
    scores = {name: scores for name, scores in question.scores.items() if name != HUMAN}
    return Ranking(question.name, question.labels, scores, question.clusters, question.planned)


def _line(variant: str, tests: tuple[Tested, Tested], limits: tuple[verdicts.Adjusted, ...], studio: Studio) -> Line:
    human, networks = tests
    entries = [Entry(*_area(human.own[name])) for name in (GROUPS, FINER)]
    entries += [_gap(human, name, limits[0]) for name in (GROUPS, FINER)]
    entries.append(_gap(networks, FINER, limits[1]))
    return Line(variant, entries, studio.mark(variant))


def _area(own: Contrast) -> tuple[str, str]:
    low, high = _ends(own)
    return number(own.estimate), own.degenerate if math.isnan(low) else interval(low, high, sign=False)


def _ends(own: Contrast) -> tuple[float, float]:
    """The interval of an area; NaN where it has none."""
    if own.degenerate or not 0 < own.estimate < 1:
        return math.nan, math.nan
    return simultaneous.interval(own, confidence=LEVEL, bounds=(0, 1))


def _gap(tested: Tested, name: str, adjusted: verdicts.Adjusted) -> Entry:
    contrast = tested.differences[name]
    if contrast.degenerate:
        return Entry(number(contrast.estimate, sign=True), contrast.degenerate)
    low, high, p = verdicts.within(adjusted[name], (0.0, 1.0))
    return Entry(
        number(contrast.estimate, sign=True),
        f"{interval(low, high)} p {p_value(p)}",
    )


def _picture(stage: str, variant: str, question: Ranking, tested: Tested, studio: Studio) -> Picture:
    areas = {name: tested.own[name].estimate for name in (HUMAN, GROUPS, FINER)}
    fpr, tpr, thresholds = roc.curve(question.labels, next(iter(question.scores[HUMAN].values())))
    names = [QUALITY_GROUPS[int(group)] for group in thresholds[1:]]
    marked = {HUMAN: {name: (float(x), float(y)) for name, x, y in zip(names, fpr[1:], tpr[1:], strict=True)}}
    looks = theme.looks((HUMAN, GROUPS, FINER), HUMAN)
    alt = f"ROC of fetal heartbeat, {variant}: " + "; ".join(f"{name} {number(area)}" for name, area in areas.items())
    return studio.picture(
        f"heartbeat-{stage}-{studio.number(variant)}",
        figures.curves(question, areas, looks, marked, title=studio.looks[variant].label),
        alt,
    )
