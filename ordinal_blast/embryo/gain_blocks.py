"""Table 7 of the paper taken apart: how much of its gain is the loss, how much the decision, how much the weights.

For the variants of `ablations/rules.py`. The ordinal cross-entropy decides the mode of its probabilities, which at its
optimum is the median of the truth; the categorical one decides the mode of the truth, unless its median is asked for.
Their difference is therefore a change of decision plus a change of loss under one decision, and adds up.
"""

from __future__ import annotations

import dataclasses

from ordinal_blast.embryo import paper
from ordinal_blast.evaluation import jackknife
from ordinal_blast.report import inference, verdicts
from ordinal_blast.report.blocks import Entry, Line, Part, Section, Table, Text
from ordinal_blast.report.compare import Study
from ordinal_blast.report.formats import count, extent, interval, number
from ordinal_blast.report.inference import PLUS
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


GAIN = Share(
    "the gain of table 7: ordinal less categorical cross-entropy, as the paper has both", _of(_OURS), _of(_MODE)
)
SHARES = (
    GAIN,
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


def sections(study: Study, studio: Studio) -> list[Section]:
    """One section with a table for each stage and task; none where the study has not these variants."""
    places = [(stage, [group for group in study.groups() if group.stage == stage]) for stage in study.stages]
    parts = [part for stage, groups in places if (part := _part(stage, groups))]
    if not parts:
        return []
    return [Section(studio.anchor("gain"), "Table 7 taken apart", [Text(COVERS), *parts])]


COVERS = (
    "The second and the third line add up to the first, and the fifth is the first less the fourth. More is better in "
    "accuracy, less in the errors. Brackets: the interval over new seeds and new embryos (or their treatments), "
    "adjusted for all of a stage."
)


def _part(stage: str, groups: list[Group]) -> Part | None:
    asked = [
        (group, measure, share, tested)
        for group in groups
        for measure in MEASURES
        for share in SHARES
        if (tested := inference.contrasted(group, measure, share.plus, share.minus)) is not None
    ]
    if not asked:
        return None
    adjusted, size, _ = verdicts.adjust([tested for *_, tested in asked])
    entries: dict[tuple[str, Share], list[Entry]] = {}
    for (group, measure, share, tested), limits in zip(asked, adjusted, strict=True):
        ends = jackknife.bounds(measure.key, len(group.grades))
        span = None if ends is None else (ends[0] * len(share.plus), ends[1] * len(share.plus))
        row = verdicts.difference(tested, PLUS, limits, size, span)
        judged = verdicts.judgement(tested, PLUS, limits, higher=measure.higher)
        small = judged["why"] or f"{interval(row['low_adjusted'], row['high_adjusted'])} {judged['verdict']}"
        entries.setdefault((group.task, share), []).append(
            Entry(number(row["mean"], sign=True), small, judged["verdict"] == verdicts.BETTER)
        )
    tables = []
    for group in groups:
        lines = [Line(share.text, of) for (task, share), of in entries.items() if task == group.task]
        if lines:
            seeds = extent(len(tested.seeds[PLUS]) for of, _, _, tested in asked if of is group)
            caption = (
                f"{group.task.upper()}: {count(int(group.known.sum()), 'test example')}, {seeds} seeds; "
                f"{100 * LEVEL:.0f} % intervals adjusted for {count(size, 'difference')}."
            )
            tables.append(Table(caption, ["", *(measure.heading for measure in MEASURES)], lines))
    return Part(stage.upper(), tables)
