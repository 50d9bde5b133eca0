"""What grades say of fetal heartbeat beyond their ROC: rates of quality groups, probabilities, picks of a treatment.

Embryologist and network are compared on the same transferred embryos, over new treatments and new seeds (see
`evaluation/ratios.py`); where several embryologists graded these, each stands beside the network by DeLong.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
from scipy import special

from ordinal_blast.embryo import outcome_blocks
from ordinal_blast.embryo.outcome import QUALITY_GROUPS, SHORT_GROUPS
from ordinal_blast.embryo.outcome_blocks import FINER, GROUPS, HUMAN
from ordinal_blast.evaluation import agreement, cohorts, logistic, ratios, simultaneous
from ordinal_blast.evaluation.multireader import Comparison, Contrast
from ordinal_blast.evaluation.validation import count_units
from ordinal_blast.report import inference
from ordinal_blast.report.blocks import Block, Entry, Line, Part, Table, Text
from ordinal_blast.report.compare import Study
from ordinal_blast.report.formats import MISSING, count, interval, number, p_value
from ordinal_blast.report.measures import LEVEL
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.rankings import Ranking
from ordinal_blast.report.results import Group
from ordinal_blast.types import RATERS

FEW = 10  # treatments in which the pick matters, below which nothing is said of it
GRADERS = (HUMAN, GROUPS, FINER)


def blocks(study: Study, stage: str, studio: Studio) -> list[Block]:
    """Rates, probabilities and picks of one stage; nothing where ICM, TE or the outcome are not known."""
    if (both := outcome_blocks.graded(study, stage)) is None:
        return []
    asked = {v: one for v in both[0].variants if (one := outcome_blocks.question(*both, v)) is not None}
    if not asked:
        return []
    parts: list[Block] = [_rates(asked, studio)]
    held_out = {v: outcome_blocks.question(*both, v, split="val") for v in asked}
    parts += _probabilities(asked, {v: one for v, one in held_out.items() if one is not None}, studio)
    parts += _choices(asked, studio)
    parts += _several(both, study, [*asked], studio)
    return [Part(f"{stage.upper()}: rates, probabilities and picks", parts)]


def rates(one: Ranking) -> dict[str, Comparison]:
    """Share of each quality group with a heartbeat, by its name: of the embryologist (0) and the network (1)."""
    grades = _stacked(one, (HUMAN, GROUPS))
    compared = {}
    for k, name in enumerate(QUALITY_GROUPS):
        inside = (grades == k).astype(float)
        if _units(one, inside.any(axis=(0, 1))) > 1:
            compared[name] = ratios.compare(inside * one.labels, inside, cases=one.clusters, confidence=LEVEL)
    return compared


def probabilities(fitted_on: Ranking, tested: Ranking) -> np.ndarray | None:
    """Probabilities of a heartbeat `[G, S, N]` of the tested embryos by GRADERS, whose scores are turned into log-odds
    by `logistic.fit` on other embryos, seed by seed; None where one cannot be fitted.
    """
    seeds = [*tested.scores[HUMAN]]
    if not {*seeds} <= {*fitted_on.scores[HUMAN]}:
        return None
    lines = np.array([[logistic.fit(fitted_on.scores[g][seed], fitted_on.labels) for seed in seeds] for g in GRADERS])
    if not np.isfinite(lines).all():
        return None
    return np.asarray(special.expit(lines[..., :1] + lines[..., 1:] * _stacked(tested, GRADERS)))


def picked(one: Ranking) -> Comparison | None:
    """Share of treatments whose pick, the highest of GRADERS' scores, has a heartbeat, ties drawn.

    Of treatments in which some transferred embryo has one and another has none; None for fewer than FEW.
    """
    if one.clusters is None:
        return None
    matters = cohorts.contrasting(one.labels, one.clusters)
    members = np.unique(one.clusters[matters], return_inverse=True)[1]
    if not matters.any() or count_units(members) < FEW:
        return None
    chosen = agreement.picks(_stacked(one, GRADERS)[..., matters], members)
    return ratios.compare(chosen * one.labels[matters], chosen, cases=members, confidence=LEVEL)


def at_random(one: Ranking) -> float:
    """The same share of picks at random."""
    matters = cohorts.contrasting(one.labels, one.clusters)
    members = np.unique(one.clusters[matters], return_inverse=True)[1]  # type: ignore[index]
    return float(np.mean(np.bincount(members, one.labels[matters]) / np.bincount(members)))


def _stacked(one: Ranking, graders: tuple[str, ...]) -> np.ndarray:
    """Scores `[G, S, N]`."""
    return np.stack([np.stack([*one.scores[grader].values()]) for grader in graders]).astype(np.float64)


def _basis(grader: int) -> Literal["both", "examples"]:
    """Over what a value varies: the first grader, a person, has no seeds."""
    return "both" if grader else "examples"


def _units(one: Ranking, kept: np.ndarray) -> int:
    return int(kept.sum()) if one.clusters is None else len(np.unique(one.clusters[kept]))


def _rates(asked: Mapping[str, Ranking], studio: Studio) -> Table:
    human: list[Entry] = []
    lines = {}
    for variant, one in asked.items():
        compared = rates(one)
        sizes = _stacked(one, (HUMAN, GROUPS))
        entries: list[list[Entry]] = [[], []]
        for k, name in enumerate(QUALITY_GROUPS):
            for grader in (0, 1):
                n = float((sizes[grader] == k).sum(axis=1).mean())
                value = _value(compared[name].mean(grader, _basis(grader))) if name in compared else (MISSING, "")
                entries[grader].append(Entry(value[0], f"{value[1]} n {n:g}".strip()))
        human, lines[variant] = entries[0], entries[1]
    caption = (
        "Share of each quality group that has a fetal heartbeat, with 95 % intervals over new treatments and seeds, "
        "not adjusted; n: embryos, of a network the mean over seeds."
    )
    header = [f"{name} ({short})" for name, short in zip(QUALITY_GROUPS, SHORT_GROUPS, strict=True)]
    return studio.table(caption, header, lines, Line(HUMAN, human, aside=True))


def _probabilities(asked: Mapping[str, Ranking], fitted_on: Mapping[str, Ranking], studio: Studio) -> list[Block]:
    lines: dict[str, list[Entry]] = {}
    human: list[Entry] = []
    for variant, one in asked.items():
        probs = probabilities(fitted_on[variant], one) if variant in fitted_on else None
        if probs is None or _units(one, np.ones(len(one.labels), bool)) < 2:
            continue
        gaps = ratios.compare(one.labels - probs, np.ones_like(probs), cases=one.clusters, confidence=LEVEL)
        brier = ratios.compare((one.labels - probs) ** 2, np.ones_like(probs), cases=one.clusters, confidence=LEVEL)
        entries = [
            [Entry(*_value(gaps.mean(g, _basis(g)), (-1, 1), sign=True)), Entry(*_value(brier.mean(g, _basis(g))))]
            for g in range(len(GRADERS))
        ]
        human = [*entries[0], Entry(MISSING), Entry(MISSING), Entry(MISSING)]
        gained = [Entry(*_difference(brier.difference(2, 0)))]
        lines[variant] = [*entries[1], *entries[2], *gained]
    if not lines:
        return []
    caption = (
        "Probabilities of a heartbeat: log-odds that are linear in quality groups (top 2, good 1, poor 0) or in "
        "expected grades, fitted on validation embryos and tested here. Observed − predicted: 0 where the level is "
        "right; Brier: mean squared error, lower is better. Intervals of 95 % as above; that of the fit is not covered."
    )
    header = ["Groups: observed − predicted", "Brier ↓", "Expected: observed − predicted", "Brier ↓"]
    header.append("Brier, expected − human")
    return [studio.table(caption, header, lines, Line(HUMAN, human, aside=True))]


def _choices(asked: Mapping[str, Ranking], studio: Studio) -> list[Block]:
    compared = {variant: of for variant, one in asked.items() if (of := picked(one)) is not None}
    if not compared:
        return [
            Text(
                "Too few treatments have transferred embryos with and without a heartbeat to compare picks.", note=True
            )
        ]
    first = next(iter(compared))
    lines = {
        variant: [
            Entry(*_value(of.mean(1))),
            Entry(*_value(of.mean(2))),
            Entry(*_difference(of.difference(1, 0))),
            Entry(*_difference(of.difference(2, 0))),
        ]
        for variant, of in compared.items()
    }
    random = [
        Entry(number(at_random(asked[first]))),
        Entry(number(at_random(asked[first]))),
        Entry(MISSING),
        Entry(MISSING),
    ]
    own = Entry(*_value(compared[first].mean(0, _basis(0))))
    caption = (
        f"The first choice within a treatment has a heartbeat: {count(compared[first].units, 'treatment')} in which "
        "one transferred embryo has and another has not. Of embryos that are tied for it one is drawn. Intervals of "
        "95 % over new treatments and seeds, not adjusted."
    )
    header = ["Groups ↑", "Expected ↑", "Groups − human", "Expected − human"]
    human = Line(HUMAN, [own, own, Entry(MISSING), Entry(MISSING)], aside=True)
    return [studio.table(caption, header, lines, human, Line("at random", random, aside=True))]


def _several(both: tuple[Group, Group], study: Study, variants: list[str], studio: Studio) -> list[Block]:
    """Each of several embryologists beside a network, by DeLong on the embryos that this one graded."""
    split = both[0].cells[0].tested(both[0].stage)
    columns = [split.columns.get(f"{RATERS}{group.task}") for group in both]
    if any(column is None for column in columns):
        return []
    variant = next((name for name in (study.subject, study.reference) if name in variants), variants[0])
    names = both[0].cells[0].record.dataset.get("raters", ())
    lines = []
    for r in range(min(column.shape[1] for column in columns if column is not None)):
        one = outcome_blocks.question(*both, variant, rater=r)
        if one is None:
            continue
        tested = inference.ranked(one, HUMAN)
        entries = [Entry(f"{len(one.labels):,}"), Entry(*_value(tested.own[HUMAN]))]
        entries += [Entry(*_difference(tested.differences[name])) for name in (GROUPS, FINER)]
        lines.append(Line(str(names[r]) if r < len(names) else f"embryologist {r + 1}", entries))
    caption = (
        f"Areas under the ROC of every embryologist by quality groups, and those of {variant} less that, on the "
        "embryos that this one graded: DeLong’s covariances, treatments as clusters; not adjusted."
    )
    header = ["", "Embryos", "Area", "Groups − this one", "Expected − this one"]
    return [Table(caption, header, lines)] if lines else []


def _value(of: Contrast, bounds: tuple[float, float] = (0, 1), *, sign: bool = False) -> tuple[str, str]:
    if of.degenerate or not bounds[0] < of.estimate < bounds[1]:
        return number(of.estimate, sign=sign), of.degenerate
    low, high = simultaneous.interval(of, confidence=LEVEL, bounds=bounds)
    return number(of.estimate, sign=sign), interval(low, high, sign=sign)


def _difference(of: Contrast) -> tuple[str, str]:
    if of.degenerate or math.isnan(of.estimate):
        return number(of.estimate, sign=True), of.degenerate
    low, high = simultaneous.interval(of, confidence=LEVEL)
    return number(of.estimate, sign=True), f"{interval(low, high)} p {p_value(simultaneous.p_value(of))}"
