"""The first chapter of a page on several studies: each claim of Kragh et al. (2019), and what they say of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

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
    parts = [_compared(kind, [one for one in answers if one.claim.kind == kind]) for kind in _kinds(answers)]
    human, outcome, cropper = _human(studies), _outcome(studies), _cropper(studies)
    lines = [line for said in (human, outcome, cropper) for line in said]
    if lines:
        caption = (
            "The networks are those of the ordinal cross-entropy after their last stage; the embryologist’s rows are "
            f"adjusted within their study. Votes of others: ties {RULES[VOTE]}."
        )
        parts.append(Part("Embryologists, outcome, cropper", [Table(caption, ["Claim", "Paper", "Here", "So"], lines)]))
    if not answers:
        return []
    blocks: list[Block] = [Bullets(_short(answers, lines)), Text(COVERS), *parts]
    return [Section(studio.anchor("claims"), "The claims of the paper", blocks)]


def _kinds(answers: Iterable[Said]) -> list[str]:
    return [*dict.fromkeys(one.claim.kind for one in answers)]


def _short(answers: Sequence[Said], lines: Sequence[Line]) -> list[str]:
    """Every claim with what is said of it, in one sentence."""
    sentences = [f"{claim.text}: {_so(of)}." for claim, of in _by_claim(answers)]
    return [*sentences, *(f"{line.head}: {line.entries[-1].text}." for line in lines)]


def _by_claim(answers: Iterable[Said]) -> list[tuple[Claim, list[Said]]]:
    by: dict[int, tuple[Claim, list[Said]]] = {}
    for one in answers:
        by.setdefault(id(one.claim), (one.claim, []))[1].append(one)
    return [*by.values()]


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
        lines = []
        for task in paper.TASKS:
            of = rows[rows["task"] == task].set_index("ties")
            if VOTE not in of.index:
                continue
            row, said = of.loc[VOTE], {_side(one.low_adjusted, one.high_adjusted) for one in of.itertuples()}
            word = WORDS[_side(row.low_adjusted, row.high_adjusted)]
            rules = (
                "under every rule for ties" if len(said) == 1 else f"ties {RULES[VOTE]}; another rule says otherwise"
            )
            published = paper.LEFT_OUT["model"][task] - paper.LEFT_OUT["human"][task]
            here = Entry(number(-row["mean"], sign=True), interval(-row.high_adjusted, -row.low_adjusted))
            head = f"The network agrees better with the vote than the average embryologist does, {task.upper()}"
            lines.append(Line(head, [Entry(number(published, sign=True)), here, Entry(f"{word}, {rules}")]))
        if lines:
            return lines
    return []


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
            dice, said = dices["test"], paper_blocks.reach(study)
            words = {True: "supported", False: "contradicted"}
            so = words[said[0] >= paper.DICE] if said[0] >= paper.DICE or said[1] < paper.DICE else WORDS[CANNOT_TELL]
            here = Entry(number(dice), interval(*said, sign=False))
            head = f"The cropper’s Dice on images that selected nothing is {number(paper.DICE)} or more"
            return [Line(head, [Entry(number(paper.DICE)), here, Entry(so)])]
    return []
