"""Table 7 of the paper taken apart: how much of its gain is the loss, how much the decision, how much the weights.

For the variants of `ablations/rules.py`. The ordinal cross-entropy decides the mode of its probabilities, which at its
optimum is the median of the truth; the categorical one decides the mode of the truth, unless its median is asked for.
Their difference is therefore a change of decision plus a change of loss under one decision, and adds up.
"""

from __future__ import annotations

import dataclasses

from ordinal_blast.embryo import paper
from ordinal_blast.report import contrasts, verdicts
from ordinal_blast.report.blocks import Entry, Line, Part, Section, Table, Text
from ordinal_blast.report.compare import Study
from ordinal_blast.report.formats import count, extent, interval, number
from ordinal_blast.report.measures import LEVEL, PRIMARY
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.results import Group

_OURS, _MODE, _MEDIAN = f"{paper.LOSS} mode", "cross_entropy mode", "cross_entropy median"
MEASURES = tuple(measure for measure in PRIMARY if measure.key in ("accuracy", "mae", "mse"))


@dataclasses.dataclass(frozen=True)
class Share:
    """A part of the gain: the sum of some variants less that of as many others."""

    text: str
    plus: tuple[str, ...]
    minus: tuple[str, ...]


def _of(*variants: str, weights: str = "weighted") -> tuple[str, ...]:
    return tuple(f"{variant} {weights}" for variant in variants)


SHARES = (
    Share("the gain of table 7: ordinal less categorical cross-entropy, as the paper has both", _of(_OURS), _of(_MODE)),
    Share("of it the decision: categorical cross-entropy, its median instead of its mode", _of(_MEDIAN), _of(_MODE)),
    Share("and the loss: ordinal cross-entropy less that median", _of(_OURS), _of(_MEDIAN)),
    Share(
        "the gain where no class weights were trained with",
        _of(_OURS, weights="unweighted"),
        _of(_MODE, weights="unweighted"),
    ),
    Share(
        "what class weights add to the gain",
        (*_of(_OURS), *_of(_MODE, weights="unweighted")),
        (*_of(_MODE), *_of(_OURS, weights="unweighted")),
    ),
    Share(
        "class weights themselves: categorical cross-entropy with less without",
        _of(_MODE),
        _of(_MODE, weights="unweighted"),
    ),
)
COVERS = (
    "The second and the third line add up to the first, and the fifth is the first less the fourth. More is better in "
    "accuracy, less in the errors. Brackets: the interval over new seeds and new embryos (or their treatments), "
    "adjusted for all of a stage."
)


def sections(study: Study, studio: Studio) -> list[Section]:
    """One section with a table for each stage and task; none where the study has not these variants."""
    places = [(stage, [group for group in study.groups() if group.stage == stage]) for stage in study.stages]
    parts = [part for stage, groups in places if (part := _part(stage, groups))]
    if not parts:
        return []
    return [Section(studio.anchor("gain"), "Table 7 taken apart", [Text(COVERS), *parts])]


def _part(stage: str, groups: list[Group]) -> Part | None:
    asked = {
        (group.task, share, measure): one
        for group in groups
        for measure in MEASURES
        for share in SHARES
        if (one := contrasts.ask(group, measure, share.plus, share.minus)) is not None
    }
    judged = dict(zip(asked, contrasts.judge([*asked.values()]), strict=True))
    tables = []
    for group in groups:
        of = {share: one for (task, share, _), one in judged.items() if task == group.task}
        lines = [Line(share.text, [_entry(judged[group.task, share, m]) for m in MEASURES]) for share in of]
        if lines:
            first = next(iter(of.values()))
            caption = (
                f"{group.task.upper()}: {count(first.n, 'test example')}, {extent(one.seeds for one in of.values())} "
                f"seeds; {100 * LEVEL:.0f} % intervals adjusted for {count(first.comparisons, 'difference')}."
            )
            tables.append(Table(caption, ["", *(measure.heading for measure in MEASURES)], lines))
    return Part(stage.upper(), tables) if tables else None


def _entry(one: contrasts.Judged) -> Entry:
    said = one.why or f"{interval(one.low, one.high)} {one.verdict}"
    return Entry(number(one.mean, sign=True), said, one.verdict == verdicts.BETTER)
