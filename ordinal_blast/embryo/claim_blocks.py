"""The first chapter of a page on several studies: each claim of Kragh et al. (2019), and what they say of it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

import pandas as pd

from ordinal_blast.embryo import claims, outcome_blocks, paper, paper_blocks
from ordinal_blast.embryo.claims import Claim, Said
from ordinal_blast.embryo.human_blocks import RULES, VOTE
from ordinal_blast.report import verdicts
from ordinal_blast.report.blocks import Block, Bullets, Entry, Line, Part, Section, Table, Text
from ordinal_blast.report.compare import Study
from ordinal_blast.report.formats import MISSING, count, extent, interval, listed, number
from ordinal_blast.report.measures import LEVEL
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.verdicts import BETTER, CANNOT_TELL, NOT_TESTED, WORSE

WORDS = {BETTER: "supported", WORSE: "contradicted", CANNOT_TELL: "cannot tell", NOT_TESTED: "not tested"}
COVERS = (
    "A claim is supported, or contradicted, in a measure of a task where the whole adjusted interval lies on that "
    "side; else these studies cannot tell. The paper’s own numbers are of one training on private images, without "
    f"intervals. Embryos here are those of the studies’ data set; {100 * LEVEL:.0f} % intervals over new seeds and new "
    "embryos (or their treatments) are adjusted for all rows and columns of a table."
)


def sections(studies: Sequence[Study], studio: Studio) -> list[Section]:
    """One section with every claim of which a study has both sides; none for studies of other things."""
    answers = claims.said(studies)
    if not answers:
        return []
    parts = [_compared(kind, [*of]) for kind, of in itertools.groupby(answers, lambda one: one.claim.kind)]
    lines = [*_human(studies), *_outcome(studies), *_cropper(studies)]
    if lines:
        caption = (
            "The networks are those of the ordinal cross-entropy after their last stage; the embryologist’s rows are "
            f"adjusted within their study. Votes of others: ties {RULES[VOTE]}."
        )
        parts.append(Part("Embryologists, outcome, cropper", [Table(caption, ["Claim", "Paper", "Here", "So"], lines)]))
    blocks: list[Block] = [Bullets(_short(answers, lines)), Text(COVERS), *parts]
    return [Section(studio.anchor("claims"), "The claims of the paper", blocks)]


def _short(answers: Sequence[Said], lines: Sequence[Line]) -> list[str]:
    """Every claim with what is said of it, in one sentence."""
    sentences = [f"{claim.text}: {_so(of)}." for claim, of in _by_claim(answers)]
    return [*sentences, *(f"{line.head}: {line.entries[-1].text}." for line in lines)]


def _by_claim(answers: Iterable[Said]) -> list[tuple[Claim, list[Said]]]:
    by_text = [[*of] for _, of in itertools.groupby(answers, lambda one: one.claim.text)]
    return [(of[0].claim, of) for of in by_text]


def _so(answers: Sequence[Said]) -> str:
    """What is said of a claim, measure by measure of each task where they differ."""
    where: dict[str, list[str]] = {}
    for one in answers:
        where.setdefault(WORDS[one.verdict], []).append(f"{one.task.upper()} {one.measure.label}")
    if len(where) == 1:
        return next(iter(where))
    said = [f"{word} in {listed(names)}" for word, names in where.items() if word != WORDS[CANNOT_TELL]]
    rest = [f"{WORDS[CANNOT_TELL]} in the rest"] if WORDS[CANNOT_TELL] in where else []
    return "; ".join([*said, *rest])


def _compared(kind: str, answers: Sequence[Said]) -> Part:
    columns = [*dict.fromkeys((one.task, one.measure) for one in answers)]
    lines = []
    for claim, of in _by_claim(answers):
        by = {(one.task, one.measure): one for one in of}
        lines.append(Line(claim.text, [_entry(by[column]) if column in by else Entry(MISSING) for column in columns]))
        if any(math.isfinite(one.paper) for one in of):
            published = [number(by[column].paper, sign=True) if column in by else MISSING for column in columns]
            lines.append(Line("in the paper", [Entry(text) for text in published], aside=True))
    alone = " (with one seed: new embryos alone)" if min(one.seeds for one in answers) == 1 else ""
    caption = (
        f"Difference on the test set; embryos: {extent([one.n for one in answers])}, seeds: "
        f"{extent([one.seeds for one in answers])}{alone}; adjusted for {count(answers[0].comparisons, 'difference')}."
    )
    header = ["Claim", *(f"{task.upper()} {measure.heading}" for task, measure in columns)]
    return Part(kind, [Table(caption, header, lines)])


def _entry(one: Said) -> Entry:
    return Entry(number(one.mean, sign=True), one.why or interval(one.low, one.high), one.verdict == BETTER)


def _human(studies: Sequence[Study]) -> list[Line]:
    """The network against the average embryologist, at the votes of the others (equations 4 and 5)."""
    for study in studies:
        rows = study.raters
        rows = rows[(rows["variant"] == paper.LOSS) & (rows["stage"] == study.stages[-1])]
        if len(rows):
            places = rows.groupby(["split", "task"], observed=True, sort=False)
            several = rows["split"].nunique() > 1
            return [
                _agreeing(task, of, split if several else "") for (split, task), of in places if task in paper.TASKS
            ]
    return []


def _agreeing(task: str, rows: pd.DataFrame, split: str) -> Line:
    """Embryologist and network on a task of one set, a row for each rule for ties; split: its name where it is told."""
    sides = {row.ties: _side(row.low_adjusted, row.high_adjusted) for row in rows.itertuples()}
    alike = len({*sides.values()}) == 1
    rules = "under every rule for ties" if alike else f"ties {RULES[VOTE]}; another rule says otherwise"
    row, published = rows.set_index("ties").loc[VOTE], paper.LEFT_OUT["model"][task] - paper.LEFT_OUT["human"][task]
    here = Entry(number(-row["mean"], sign=True), interval(-row.high_adjusted, -row.low_adjusted))
    where = f"{task.upper()}, set {split}" if split else task.upper()
    head = f"The network agrees better with the vote than the average embryologist does, {where}"
    return Line(head, [Entry(number(published, sign=True)), here, Entry(f"{WORDS[sides[VOTE]]}, {rules}")])


def _side(low: float, high: float) -> str:
    """What the interval of embryologist less network says of the network."""
    return verdicts.verdict(low, high, higher=False)


def _outcome(studies: Sequence[Study]) -> list[Line]:
    """The network's quality groups and fetal heartbeat (figure 5)."""
    for study in studies:
        if (compared := outcome_blocks.compared(study, study.stages[-1], paper.LOSS)) is None:
            continue
        area, gap = compared
        model, human = (number(paper.AREAS[who], 2) for who in ("model", "human"))
        orders = verdicts.verdict(area.low - 0.5, area.high - 0.5, higher=True)
        beats = verdicts.verdict(gap.low, gap.high, higher=True)
        return [
            Line(
                "The network’s quality groups order fetal heartbeat (area above .5)",
                [
                    Entry(model),
                    Entry(number(area.mean), interval(area.low, area.high, sign=False)),
                    Entry(WORDS[orders]),
                ],
            ),
            Line(
                "The network’s quality groups order fetal heartbeat better than the embryologist’s",
                [
                    Entry(f"{model} and {human}", f"p {paper.AREAS_P}: cannot tell"),
                    Entry(number(gap.mean, sign=True), interval(gap.low, gap.high)),
                    Entry(WORDS[beats]),
                ],
            ),
        ]
    return []


def _cropper(studies: Sequence[Study]) -> list[Line]:
    for study in studies:
        if "test" in (dices := paper_blocks.dices(study)):
            low, high = paper_blocks.reach(study)
            so = WORDS[verdicts.verdict(low - paper.DICE, high - paper.DICE, higher=True)]
            here = Entry(number(dices["test"]), interval(low, high, sign=False))
            head = f"The cropper’s Dice on images that selected nothing is {number(paper.DICE)} or more"
            return [Line(head, [Entry(number(paper.DICE)), here, Entry(so)])]
    return []
