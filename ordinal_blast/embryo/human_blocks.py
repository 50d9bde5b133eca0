"""Embryologists beside networks: equations (4) and (5), majority votes (table 6), and who agrees (figure 4)."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from ordinal_blast.embryo import paper
from ordinal_blast.evaluation import metrics, multireader, raters, simultaneous
from ordinal_blast.report import figures, theme
from ordinal_blast.report.annotated import Annotated, places
from ordinal_blast.report.blocks import Block, Entry, Gallery, Line, Part, Section, Table, Text
from ordinal_blast.report.compare import Study
from ordinal_blast.report.comparison import foremost
from ordinal_blast.report.formats import MISSING, count, extent, interval, listed, number, p_value
from ordinal_blast.report.measures import LEVEL
from ordinal_blast.report.pictures import Studio

RULES = {
    "low": "lower grade",
    "high": "higher grade",
    "median": "nearest the median",
    "drop": "left out",
    "share": "shared",
}
VOTE: raters.Ties = "median"  # by which majority votes are taken where one is needed
MOST = 8  # variants; of more, the reference and the best of each measure
ALONE = 12  # embryologists who have a line each; of more, the average says enough
HUMAN = "average embryologist"
COVERS = (
    "Each embryologist of an embryo in turn is left out and held against the vote of the others, and each network "
    "against the same votes (equations 4 and 5 of the paper), by what a tie among the others counts as. Networks are "
    "means over seeds. Intervals of 95 % are over new embryos (or their patients) and, where a network is in it, new "
    "seeds; these embryologists are taken as they are: others are not covered."
)


def sections(study: Study, studio: Studio) -> list[Section]:
    """One section with every stage on every task that several embryologists graded; none where they did not."""
    rows = study.raters
    graded = list(places(study))
    alike = {(place.split, place.group.task): place for place in graded}  # whatever the stage, they graded the same
    blocks: list[Block] = [Text(COVERS)] if graded else []
    for place in graded:
        of = place.group.within(rows[rows["split"] == place.split])
        shown = foremost(study, place.group, MOST)
        blocks.append(_left_out(study, place, of, shown, studio))
    blocks += [_agreement(place, studio) for place in alike.values()]
    return [Section(studio.anchor("embryologists"), "Embryologists and networks", blocks)] if blocks else []


def _left_out(study: Study, place: Annotated, rows: pd.DataFrame, shown: list[str], studio: Studio) -> Part:
    lines = []
    for variant in shown:
        of = rows[rows["variant"] == variant].set_index("ties")
        for rule in (rule for rule in RULES if rule in of.index):
            row = of.loc[rule]
            gap = f"{interval(row.low_adjusted, row.high_adjusted)} p {p_value(row.p_adjusted)}"
            entries = [
                Entry(number(row.human), interval(row.human_low, row.human_high, sign=False)),
                Entry(number(row.model), interval(row.model_low, row.model_high, sign=False)),
                Entry(number(row["mean"], sign=True), row.why or gap),
                Entry(f"{row.tied:.1%}"),
            ]
            lines.append(Line(f"{variant}, ties: {RULES[rule]}", entries, studio.mark(variant)))
    graded = (place.annotations >= 0).sum(axis=1).tolist()
    others = " Other variants are in the frame of raters." if len(shown) < len(place.grades) else ""
    caption = (
        f"Accuracy at the vote of the others; {count(len(graded), 'embryo')} of the set “{place.split}”, graded by "
        f"{extent(graded)} of {place.annotations.shape[1]} embryologists. The difference is paired by embryo; its "
        f"interval and p are adjusted for the {extent(rows['comparisons'])} comparisons of variants and tasks under a "
        f"rule. Tied: of the votes of others.{others}"
    )
    header = ["Variant", "Embryologist", "Network", "Embryologist − network", "Tied"]
    blocks = [
        Table(caption, header, [*lines, *_paper(study, place)]),
        Text(_matter(rows)),
        *_majority(place, shown, studio),
        *([_everyone(place, rows, studio)] if place.annotations.shape[1] <= ALONE else []),
    ]
    return Part(place.group.title, blocks)


def _paper(study: Study, place: Annotated) -> list[Line]:
    """The line of the paper, whose network is the whole system."""
    task = place.group.task
    if task not in paper.TASKS or place.group.stage != study.stages[-1]:
        return []
    human, model = (paper.LEFT_OUT[who][task] for who in ("human", "model"))
    numbers = [number(human), number(model), number(human - model, sign=True), MISSING]
    return [Line("paper, RNN, rule for ties not stated", [Entry(text) for text in numbers], aside=True)]


def _matter(rows: pd.DataFrame) -> str:
    """How much the rule for ties changes, in words."""
    by_variant = rows.groupby("variant", observed=True)
    spans = by_variant[["human", "model", "mean"]].agg(lambda values: values.max() - values.min()).max()
    half = float(((rows["high"] - rows["low"]) / 2).mean())
    sides = rows.assign(side=(rows["low_adjusted"] > 0).astype(int) - (rows["high_adjusted"] < 0).astype(int))
    alike = bool((sides.groupby("variant", observed=True)["side"].nunique() == 1).all())
    return (
        f"Between the rules for ties the {HUMAN} moves by {number(spans['human'])}, a network by up to "
        f"{number(spans['model'])}, and their difference by up to {number(spans['mean'])}; half of the interval of one "
        f"difference is {number(half)}. {'No rule changes' if alike else 'The rule changes'} what is established."
    )


def _majority(place: Annotated, shown: list[str], studio: Studio) -> list[Block]:
    """The networks' confusion with the majority vote, and their accuracy there (table 6)."""
    group, voted = place.group, raters.vote(place.annotations, VOTE)
    known = voted >= 0
    patients = None if place.patients is None else place.patients[known]
    pictures, lines = [], {}
    for variant in shown:
        grades = place.grades[variant]
        counts = np.sum([metrics.confusion(voted[known], row[known], len(group.grades)) for row in grades], axis=0)
        one = multireader.measure(
            "accuracy", voted[known], grades[None][..., known], num_classes=len(group.grades), cases=patients
        )
        own, ends = one.mean(0), (math.nan, math.nan)
        if not own.degenerate:
            ends = simultaneous.interval(own, confidence=LEVEL, bounds=(0, 1))
        lines[variant] = [Entry(number(own.estimate), interval(*ends, sign=False))]
        pictures.append(
            studio.picture(
                f"majority-{group.stage}-{group.task}-{studio.number(variant)}",
                figures.confusion(counts, group.grades, studio.looks[variant], ("majority", "network")),
                f"Confusion of {variant} with the majority votes: accuracy {number(own.estimate)}",
            )
        )
    said = paper.MAJORITY.get(group.task)
    table = studio.table(
        f"Accuracy at the majority vote of all embryologists (table 6 of the paper; ties: {RULES[VOTE]}), "
        f"{count(int(known.sum()), 'embryo')}.",
        ["Accuracy ↑"],
        lines,
        *([Line("paper, RNN", [Entry(number(said))], aside=True)] if said else []),
    )
    caption = "Share of each majority vote (row) that the network grades so (column), over seeds; below it the count."
    return [Gallery(caption, pictures, "small"), table]


def _kappa(labels: np.ndarray, grades: np.ndarray, k: int) -> float:
    return float(metrics.qwk(labels, grades, k))


def _everyone(place: Annotated, rows: pd.DataFrame, studio: Studio) -> Table:
    """Every embryologist by name, where names are known, and every network, at the votes of the others."""
    annotations, k = place.annotations, len(place.group.grades)
    names = place.group.cells[0].record.dataset.get("raters", ())
    people, votes = [], []
    for r in range(annotations.shape[1]):
        others = raters.vote(np.delete(annotations, r, axis=1), VOTE)
        both = (annotations[:, r] >= 0) & (others >= 0)
        votes.append((others, both))
        n, entries = int(both.sum()), [Entry(MISSING), Entry(MISSING)]
        if place.units(both):
            cases = None if place.patients is None else place.patients[both]
            own = annotations[both, r][None, None]
            mean = multireader.measure("accuracy", others[both], own, num_classes=k, cases=cases).mean(0)
            ends = (
                simultaneous.interval(mean, confidence=LEVEL, bounds=(0, 1)) if not mean.degenerate else (math.nan,) * 2
            )
            entries = [
                Entry(number(mean.estimate), interval(*ends, sign=False)),
                Entry(number(_kappa(others[both], own[0, 0], k))),
            ]
        name = names[r] if r < len(names) else f"embryologist {r + 1}"
        people.append(Line(str(name), [Entry(f"{n:,}"), *entries], aside=True))
    lines = []
    at = rows[rows["ties"] == VOTE].set_index("variant")
    for variant in (variant for variant in place.grades if variant in at.index):
        row = at.loc[variant]
        kappas = [
            _kappa(others[both], grades[both], k)
            for others, both in votes
            for grades in place.grades[variant]
            if place.units(both)
        ]
        entries = [Entry(f"{row.n:,}"), Entry(number(row.model), interval(row.model_low, row.model_high, sign=False))]
        lines.append(Line(variant, [*entries, Entry(number(float(np.mean(kappas))))], studio.mark(variant)))
    caption = (
        "Everyone at the votes of the others. An embryologist is held against the vote of the others on the embryos "
        "that both graded; a network against the votes without each embryologist in turn, on the embryos that this one "
        f"graded (equation 5), its QWK as the mean of these. Ties: {RULES[VOTE]}. Intervals of 95 % are over new "
        "embryos or patients, not adjusted, and no test: embryologists graded different embryos."
    )
    return Table(caption, ["", "Embryos", "Accuracy ↑", "QWK ↑"], [*people, *lines])


def _agreement(place: Annotated, studio: Studio) -> Part:
    """How often each grade is given where the majority says another (figure 4)."""
    task, grades = place.group.task.upper(), place.group.grades
    counts = raters.distribution(place.annotations, VOTE, len(grades))
    far = sum(np.trace(counts, offset) for k in range(2, len(grades)) for offset in (k, -k)) / counts.sum()
    near = sum(np.trace(counts, offset) for offset in (1, -1)) / counts.sum()
    by_vote = [
        f"{grade}: {listed([f'{n} {other}' for other, n in zip(grades, row, strict=True)])}"
        for grade, row in zip(grades, counts.tolist(), strict=True)
    ]
    picture = studio.picture(
        f"annotations-{place.split}-{task}",
        figures.confusion(counts, grades, theme.looks((task,), task)[task], ("majority", "annotation")),
        f"Annotations of {task} by majority vote. {'; '.join(by_vote)}",
    )
    caption = (
        f"How often each grade of {task} is given (column) to embryos of each vote (row; ties: {RULES[VOTE]}): "
        f"figure 4 of the paper. Of {count(int(counts.sum()), 'annotation')}, {near:.1%} are one grade from the "
        f"majority and {far:.1%} more than that."
    )
    return Part(f"{task}: agreement of embryologists", [Gallery(caption, [picture], "small")])
