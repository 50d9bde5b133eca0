"""What a panel of raters says, as sections; they are a page, and without its figures the text of a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ordinal_blast import __version__
from ordinal_blast.evaluation import raters
from ordinal_blast.report import figures, manifest, page, rater_figures, spreadsheets, text, theme
from ordinal_blast.report.blocks import Block, Bullets, Code, Details, Entry, Gallery, Line, Section, Table, Text
from ordinal_blast.report.formats import MISSING, count, extent, interval, limits, listed, number, p_value, slug
from ordinal_blast.report.pictures import picture
from ordinal_blast.report.rater_panel import APART, NETWORK, PEOPLE, VOTES, Panel
from ordinal_blast.types import ABSENCES, Task

RULES = {
    "low": "the lower grade",
    "high": "the higher grade",
    "median": "the one nearest the median of all grades",
    "drop": "nothing: there is no vote",
    "first": "what the first in this order said of the tied grades",
    "share": "an equal share of the tied grades",
}
COVERS = (
    "Intervals of 95 % are over new {units}: these raters are taken as they are. Accuracy is at the vote of the other "
    "raters who vote, each left out in turn (Kragh et al., 2019, equations 4 and 5)."
)
_MODEL = (
    "Bias a and magnifier b of the model P(y ≤ k) = Φ(θ_k − a − b η) of all raters who are people: a above 0 grades "
    "higher, b near 0 says nothing of the quality η (it is above 0: a reversed scale ends near it)."
)


def sections(panel: Panel, drawn: bool = True) -> list[Section]:
    """What is odd, how votes are taken, and every task, with figures where they are drawn."""
    return [
        _short(panel),
        *(Section(f"raters-{slug(task.name)}", task.name, _task(panel, task, drawn)) for task in panel.tasks),
    ]


def plain(panel: Panel) -> str:
    """The same as text for a terminal, without its figures and what is behind a summary; ends without a newline."""
    return text.plain(sections(panel, drawn=False))


def facts(panel: Panel) -> dict[str, Any]:
    """Every frame as rows, and who votes by which rule, for JSON."""
    rows = {
        name: json.loads(frame.to_json(orient="records", double_precision=15)) for name, frame in panel.frames().items()
    }
    notes = {"notes": list(panel.annotations.notes), "odd": panel.odd()}
    return {"voters": list(panel.voters), "ties": panel.ties, **notes, **rows}


def write(panel: Panel, out: Path, command: str) -> Path:
    """Write `report.html`, `report.md`, `rows.csv` (the votes), `frames/` and `figures/`; returns the page's path.

    Raises UserError where `out` is not to be written to.
    """
    manifest.check(out)
    contents = [*sections(panel), Section("raters-provenance", "Provenance", _provenance(command))]
    people = panel.people
    chapter = {
        "key": "raters",
        "name": "raters",
        "title": f"{count(len(people), 'rater')} of the same {count(len(panel.annotations.items), 'item')}",
        "facts": [("Raters who vote", str(len(panel.voters))), ("Tasks", ", ".join(task.name for task in panel.tasks))],
        "sections": contents,
    }
    files = page.drawn(contents)
    frames = panel.frames()
    files["rows.csv"] = spreadsheets.csv(frames.pop("votes"), digits=9)
    files |= {f"frames/{name}.csv": spreadsheets.csv(frame, digits=9) for name, frame in frames.items() if len(frame)}
    files |= {name: content.encode() for name, content in page.rendered([chapter]).items()}
    manifest.write(out, files)
    return out / "report.html"


def _provenance(command: str) -> list[Block]:
    head: list[Block] = [Text("This page was made by"), Code(command)] if command else []
    return [*head, Text(f"ordinal_blast {__version__}. The frames are beside it as CSV, the votes as rows.csv.")]


def _short(panel: Panel) -> Section:
    units = "items" if panel.annotations.groups is None else "groups of items, such as patients"
    apart = [name for name in panel.people if name not in panel.voters]
    votes = f"Votes are of {listed(panel.voters)}; a tie counts as {RULES[panel.ties]}."
    votes += f" {listed(apart)} {'does' if len(apart) == 1 else 'do'} not vote." if apart else ""
    odd = panel.odd()
    blocks: list[Block] = [Text("No rater is reversed or at random." if not odd else "Odd raters:")]
    blocks += [Bullets(odd)] if odd else []
    blocks += [Text(votes), *_released(panel)]
    left = [task.name for task in panel.annotations.tasks if task not in panel.tasks]
    if left:
        blocks.append(Text(f"Left out, as no two items have two grades by raters who vote: {listed(left)}."))
    blocks.append(Text(COVERS.format(units=units), note=True))
    blocks += [Bullets(panel.annotations.notes)] if panel.annotations.notes else []
    return Section("raters-short", "In short", blocks)


def _released(panel: Panel) -> Iterator[Block]:
    if not len(panel.released):
        return
    lines = []
    for task, of in panel.released.groupby("task", sort=False):
        sums = of.set_index("rests_on_a_vote")[["equal", "items"]]
        entries = [
            Entry(f"{sums.loc[k, 'equal']} of {sums.loc[k, 'items']}" if k in sums.index else MISSING)
            for k in (True, False)
        ]
        lines.append(Line(str(task), entries))
    yield Table(
        f"Items on which the vote is the released consensus, {panel.released_as}: those that it decided by a vote, and "
        "those that were discussed again or left open.",
        ["Task", "By a vote", "Otherwise"],
        lines,
    )


def _task(panel: Panel, task: Task, drawn: bool) -> list[Block]:
    votes = panel.votes[panel.votes["task"] == task.name]
    some = votes[votes["grades"] > 0]
    said = (
        f"Grades, worst first: {', '.join(task.grades)}. {count(int(some['grades'].sum()), 'grade')} of "
        f"{count(len(some), 'item')} by those who vote, {extent(some['grades'].tolist())} an item; "
        f"{count(int(votes['tied'].sum()), 'vote')} tied. Votes: {_counted(task, votes['vote'])}."
    )
    rows = panel.raters[panel.raters["task"] == task.name]
    return [
        Text(said),
        _counts(panel, task),
        *_left_out(panel, task),
        _raters(rows),
        *([_figures(panel, task, rows)] if drawn else []),
        _agreement(panel, task),
        *_pairs(panel, task),
        _distribution(panel, task),
    ]


def _figures(panel: Panel, task: Task, rows: pd.DataFrame) -> Gallery:
    look = theme.looks((task.name,), task.name)[task.name]
    drawings = {
        "accuracy": (
            rater_figures.accuracies(rows[np.isfinite(rows["accuracy"])], task.name),
            f"Accuracy of every rater of {task.name} at the vote of the others, with intervals.",
        ),
        "model": (
            rater_figures.model(rows[rows["role"] != NETWORK], task.name),
            f"Bias and magnifier of every rater of {task.name}.",
        ),
        "by-vote": (
            figures.confusion(panel.annotations_by_vote(task), task.grades, look, ("vote", "grade")),
            f"How often every grade of {task.name} was given, by vote.",
        ),
    }
    shown = [picture(f"raters-{slug(task.name)}-{name}", *drawing) for name, drawing in drawings.items()]
    return Gallery(
        f"Accuracy at the vote of the others, bias and magnifier (numbers as in the kappas below), and the "
        f"shares of grades by vote. {_MODEL}",
        shown,
    )


def _counted(task: Task, votes: pd.Series) -> str:
    counts = votes.value_counts()
    return ", ".join(f"{counts[name]} × {name}" for name in (*task.grades, *ABSENCES.values()) if name in counts)


def _counts(panel: Panel, task: Task) -> Table:
    rows = panel.counts[panel.counts["task"] == task.name]
    table = rows.pivot(index="rater", columns="value", values="count")
    missing, *others = ABSENCES.values()
    names = [*task.grades, missing, *(why for why in others if table[why].any())]
    order = [name for name in (*panel.people, *panel.networks, panel.released_as) if name]
    lines = [Line(name, [Entry(f"{table.loc[name, value]}") for value in names]) for name in order]
    return Table(
        "How often every grade was given; missing counts the items that a rater did not see.", ["Rater", *names], lines
    )


def _left_out(panel: Panel, task: Task) -> Iterator[Block]:
    rows = panel.left_out[panel.left_out["task"] == task.name]
    people = rows[rows["grader"] == PEOPLE]
    lines = [
        Line(
            RULES[str(row.ties)],
            [
                Entry(number(row.accuracy), limits(row.low, row.high)),
                Entry(f"{row.n}"),
                Entry(f"{row.tied:.1%}"),
            ],
        )
        for row in people.itertuples()
    ]
    yield Table(
        "The average rater who votes, left out and held against the vote of the others (equation 4), by what a tie "
        "among these counts as.",
        ["A tie counts as", "Accuracy", "Items", "Tied"],
        lines,
    )
    rule = panel.ties if panel.ties in raters.TIES else "share"
    networks = rows[(rows["grader"] != PEOPLE) & (rows["ties"] == rule)]
    if len(networks):
        yield Table(
            f"Networks at the same votes (equation 5), a tie counting as {RULES[rule]}: the difference is paired by "
            "item, its interval and p adjusted for the number of networks.",
            ["Network", "Accuracy", "Average rater − network", "p", "Items"],
            [
                Line(
                    row.grader,
                    [
                        Entry(number(row.accuracy), limits(row.low, row.high)),
                        Entry(number(row.difference, sign=True), interval(row.difference_low, row.difference_high)),
                        Entry(p_value(row.p_adjusted)),
                        Entry(f"{row.n}"),
                    ],
                )
                for row in networks.itertuples()
            ],
        )


def _raters(rows: pd.DataFrame) -> Table:
    def line(row: pd.Series) -> Line:
        entries = [
            Entry(f"{row.n}"),
            Entry(number(row.accuracy), limits(row.low, row.high)),
            Entry(number(row.tau), limits(row.tau_low, row.tau_high)),
            Entry(number(row.bias, 2, sign=True)),
            Entry(number(row.magnifier, 2)),
            Entry(row.says),
        ]
        return Line(row.rater if row.role == VOTES else f"{row.rater} ({row.role})", entries, aside=row.role == APART)

    return Table(
        "Every rater at the vote of the others: items that both graded, accuracy, Kendall's tau-b, and bias and "
        "magnifier. Reversed: tau is below 0 with p below .05, adjusted for the number of raters; at random: its "
        "interval reaches 0.",
        ["Rater", "Items", "Accuracy", "Tau-b", "Bias", "Magnifier", ""],
        [line(row) for _, row in rows.iterrows()],
    )


def _agreement(panel: Panel, task: Task) -> Table:
    rows = panel.agreement[panel.agreement["task"] == task.name]
    who = list(dict.fromkeys(rows["raters"]))
    lines = []
    for statistic, of in rows.groupby("statistic", sort=False):
        by_raters = of.set_index("raters")
        values = [by_raters.loc[name] for name in who]
        lines.append(Line(str(statistic), [Entry(number(row.estimate), limits(row.low, row.high)) for row in values]))
    sizes = [f"{name} ({rows[rows['raters'] == name]['number'].iloc[0]})" for name in who]
    caption = "Krippendorff's alpha by what a difference weighs, and intraclass correlations of a single grade."
    return Table(caption, ["Statistic", *sizes], lines)


def _pairs(panel: Panel, task: Task) -> Iterator[Block]:
    rows = panel.pairs[panel.pairs["task"] == task.name]
    people = panel.people
    kappa = {frozenset(pair): value for *pair, value in rows[["first", "second", "qwk"]].itertuples(index=False)}
    lines = []
    for place, name in enumerate(people):
        values = [number(kappa[frozenset((name, other))], 2) for other in people[:place]]
        lines.append(
            Line(f"{place + 1} {name}", [Entry(value) for value in [*values, *[""] * (len(people) - 1 - place)]])
        )
    header = ["Rater", *(str(place) for place in range(1, len(people)))]
    yield Table("Quadratic kappa of every two raters, on the items that both graded.", header, lines)
    inner = [
        Line(
            f"{row.first}, {row.second}",
            [
                Entry(f"{row.n}"),
                Entry(number(row.qwk), limits(row.qwk_low, row.qwk_high)),
                Entry(number(row.linear_kappa), limits(row.linear_kappa_low, row.linear_kappa_high)),
            ],
        )
        for row in rows.itertuples()
    ]
    yield Details(
        f"Kappas of {task.name} with intervals",
        [Table("Weighted kappa.", ["Raters", "Items", "Quadratic", "Linear"], inner)],
    )


def _distribution(panel: Panel, task: Task) -> Table:
    caption = (
        "How often every grade (column) was given to items of every vote (row), by those who vote: figure 4 of Kragh "
        "et al. (2019)."
    )
    lines = [
        Line(grade, [Entry(f"{n}", f"{n / max(row.sum(), 1):.0%}") for n in row])
        for grade, row in zip(task.grades, panel.annotations_by_vote(task), strict=True)
    ]
    return Table(caption, ["Vote", *task.grades], lines)
