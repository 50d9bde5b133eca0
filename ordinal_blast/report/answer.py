"""The answer in plain words, one figure and one table, written from adjusted intervals alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from ordinal_blast.evaluation import jackknife
from ordinal_blast.report import published, verdicts
from ordinal_blast.report.blocks import Beside, Block, Entry, Gallery, Headline, Text
from ordinal_blast.report.compare import Study
from ordinal_blast.report.comparison import MARKS, bold, covered, difference_picture, difference_place, named
from ordinal_blast.report.formats import MISSING, count, interval, listed, number, quoted
from ordinal_blast.report.measures import Measure, primary, secondary
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.results import Group
from ordinal_blast.report.verdicts import BETTER, CANNOT_TELL, EQUIVALENT, NOT_TESTED, WORSE

PLACE = ("answer",)  # of the table's rows
_NAMED = 3  # variants that a sentence names one by one


def lead(study: Study) -> str:
    """The answer as one sentence, or why there is none yet, and what its intervals cover."""
    said, cover = _said(study)
    return f"{said} {cover}".strip()


def _said(study: Study) -> tuple[str, str]:
    """The answer, and what its intervals cover."""
    reference = quoted(study.reference)
    if not study.cells:
        return "No cell has finished, so there is nothing to compare yet.", ""
    if study.reference not in study.variants:
        return f"The reference {reference} has no finished cell, so nothing can be compared with it yet.", ""
    if len(study.plan["variants"]) == 1:
        return f"One variant, {reference}: nothing is compared.", ""
    if not study.rivals:
        return f"Only the reference {reference} has finished, so there is nothing to compare it with.", ""
    rows = _primary(study)
    if not len(rows):
        asked = listed([f"{measure} of {task}" if task else measure for measure, task in study.primary])
        return f"No seed has {asked} of both {reference} and another variant: nothing is compared.", ""
    about = _about(study, rows)
    subject = study.subject in set(about["variant"])
    sentences = [_of_subject(study, about)] if subject else _of_all(study, rows)
    cover = covered(about)
    return " ".join(sentences), f"Intervals hold {cover}." if cover else ""


def _about(study: Study, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that the answer is about: those of the subject, or all where there is none."""
    about = rows[rows["variant"] == study.subject]
    return about if len(about) else rows


def headline(study: Study, studio: Studio) -> Block:
    """The answer with what kind of answer it is, what it covers and the rows that it rests on."""
    said, cover = _said(study)
    rows = _primary(study)
    if not len(rows):
        return Text(said)
    about = _about(study, rows)
    established = about[about["verdict"].isin([BETTER, WORSE, EQUIVALENT])]
    rests = dict.fromkeys((established if len(established) else about)["variant"])
    ids = [studio.row(*PLACE, variant) for variant in rests] if len(rests) <= _NAMED else []
    return Headline(said, _tone(about["verdict"]), f"{cover} {planned(study)}".strip(), ids)


def _tone(verdicts_of: pd.Series) -> Literal["better", "worse", "equivalent", "mixed", "open"]:
    """What all that is established says; mixed where that is not the same of all measures and variants."""
    kinds = set(verdicts_of) - {CANNOT_TELL, NOT_TESTED}
    if len(kinds) > 1:
        return "mixed"
    if BETTER in kinds:
        return "better"
    if WORSE in kinds:
        return "worse"
    return "equivalent" if set(verdicts_of) == {EQUIVALENT} else "open"


def planned(study: Study) -> str:
    """What the design of this study can show, and what it would take to see the region of equivalence; or nothing."""
    shown, blind, enough, design = [], [], [], ""
    for (stage, task, key), rows in study.design.groupby(["stage", "task", "measure"], sort=False, observed=True):
        group, measure = _place(study, stage, task, key)
        here = rows[rows["present"]].iloc[0]
        if not math.isfinite(here["detectable"]):
            continue
        unit = "test example" if group.patients is None else "test patient"
        design = f"{count(here['seeds'], 'seed')} on {count(here['units'], unit)}"
        on = named(study, group, measure)
        worst, best = jackknife.bounds(measure.key, len(group.grades)) or (-math.inf, math.inf)
        if here["detectable"] > best - worst:
            blind.append(on)
            continue
        shown.append(f"{number(here['detectable'])} or more in {on}")
        enough += _enough(study, rows, here["detectable"], unit, on)
    power = "80 % power, for variants that vary over seeds as these do on average"
    if shown:
        enough.insert(0, f"{design} can show differences of {listed(shown)} ({power}).")
    if blind:
        enough.append(
            f"{design} can show no difference in {listed(blind)}: it would have to exceed the scale ({power})."
        )
    return " ".join(enough)


def _enough(study: Study, rows: pd.DataFrame, here: float, unit: str, on: str) -> list[str]:
    """Whether that resolves the region of equivalence, and if not, which of the designs tried would."""
    region = study.equivalence
    if region is None:
        return []
    matters = f"the ±{region:g} of {on} beyond which it matters"
    if here <= region:
        return [f"That is enough to see {matters}."]
    enough = rows[rows["detectable"] <= region].sort_values(["units", "seeds"])
    if not len(enough):
        most = rows.iloc[-1]
        return [f"No design up to {most['seeds']} seeds on {count(most['units'], unit)} would show {matters}."]
    least = enough.iloc[0]
    return [f"To see {matters} takes {least['seeds']} seeds on {count(least['units'], unit)}."]


def blocks(study: Study, studio: Studio) -> list[Block]:
    """The first screen below the answer: the primary measures of all variants, as a figure and as a table."""
    rows = _primary(study)
    if not len(rows):
        return []
    places = list(dict.fromkeys(zip(rows["stage"], rows["task"], rows["measure"], strict=True)))
    gaps = [verdicts.of_measure(rows, *_place(study, *place)) for place in places]
    groups = [_place(study, *place)[0] for place in places]
    pictures = [
        difference_picture(study, group, those, studio) for group, those in zip(groups, gaps, strict=True) if those
    ]
    cover = covered(rows)
    caption = f"Difference to {study.reference}{f', with intervals {cover}' if cover else ''}. {MARKS}"
    if study.equivalence is not None:
        caption += f" Band: ±{study.equivalence:g}, within which no difference matters."
    return [Beside([Gallery(caption, pictures, "wide"), _table(study, places, rows, studio)])]


def findings(study: Study, studio: Studio) -> list[str | Text]:
    """Per stage and task: published values reached, what is established on measures that are not primary, collapses."""
    reached = [sentence for group in study.groups() for sentence in published.verdict(group)]
    others = [finding for group in study.groups() if (finding := _finding(study, group, studio))]
    return [*reached, *others, *collapsed(study)]


def collapsed(study: Study) -> list[str]:
    """At most one statement: which variants give every test example the same grade with some seed."""
    constant = []
    for group in study.groups():
        names = [quoted(variant) for variant in group.variants if _constant(group, variant)]
        if names:
            constant.append(f"{group.title}: {_some(names, len(group.variants))}")
    opening = "Not learned to grade, every test example given the same grade with at least one seed"
    return [f"{opening}: {'; '.join(constant)}."] if constant else []


def _primary(study: Study) -> pd.DataFrame:
    frame = study.differences
    return frame[frame["family"] == "primary"]


def _place(study: Study, stage: str, task: str, key: str) -> tuple[Group, Measure]:
    group = next(group for group in study.groups() if (group.stage, group.task) == (stage, task))
    return group, next(measure for measure in (*primary(group), *secondary(group)) if measure.key == key)


def _of_subject(study: Study, about: pd.DataFrame) -> str:
    """What is said of the subject, one clause a verdict."""
    subject, reference = quoted(study.subject), quoted(study.reference)
    words = {
        BETTER: f"{subject} is better than {reference} in",
        WORSE: f"{subject} is worse than {reference} in",
        EQUIVALENT: f"{subject} is equivalent to {reference}, to within ±{study.equivalence}, in",
        CANNOT_TELL: f"whether {subject} is better or worse than {reference} cannot be told in",
        NOT_TESTED: f"{subject} is not tested against {reference} in",
    }
    clauses = []
    for verdict, opening in words.items():
        rows = about[about["verdict"] == verdict]
        if len(rows):
            clauses.append(f"{opening} {listed([_value(study, row) for row in rows.itertuples()])}")
    said = "; ".join(clauses)
    return f"{f'W{said[1:]}' if said.startswith('whether ') else said}."  # a name keeps its case


def _value(study: Study, row: Any) -> str:
    """A measure with its difference and adjusted interval, or why there is none."""
    on = named(study, *_place(study, row.stage, row.task, row.measure))
    return f"{on} ({row.why or f'{number(row.mean, sign=True)} {interval(row.low_adjusted, row.high_adjusted)}'})"


def _of_all(study: Study, rows: pd.DataFrame) -> list[str]:
    """What is said of all variants: the measures on which something is established one by one, the others together."""
    reference = quoted(study.reference)
    sentences, nothing, most = [], [], 0
    for (stage, task, key), those in rows.groupby(["stage", "task", "measure"], sort=False, observed=True):
        on = named(study, *_place(study, stage, task, key))
        tested = those[those["verdict"] != NOT_TESTED]
        said = {
            verdict: _some([_shown(row) for row in those[those["verdict"] == verdict].itertuples()], len(those))
            for verdict in (BETTER, WORSE, EQUIVALENT)
            if (those["verdict"] == verdict).any()
        }
        if not len(tested):
            sentences.append(f"No variant is tested against {reference} in {on}: {those['why'].iloc[0]}.")
        elif not said:
            nothing.append(on)
            most = max(most, len(tested))
        else:
            words = {BETTER: "better than", WORSE: "worse than", EQUIVALENT: "equivalent to"}
            claims = "; ".join(f"{words[verdict]} {reference}: {names}" for verdict, names in said.items())
            rest = int((tested["verdict"] == CANNOT_TELL).sum())
            cannot = f"; of {count(rest, 'variant')} it cannot be told" if rest else ""
            sentences.append(f"In {on}, {claims}{cannot}.")
    if nothing:
        whom = f"any of {most} variants" if most > 1 else "the other variant"
        sentences.append(
            f"No difference to {reference} is established in {listed(nothing)} for {whom}; that is no proof that they "
            "are equal."
        )
    return sentences


def _shown(row: Any) -> str:
    return f"{quoted(row.variant)} {number(row.mean, sign=True)} {interval(row.low_adjusted, row.high_adjusted)}"


def _some(names: Sequence[str], of: int) -> str:
    """A few by name, more by their number."""
    if len(names) <= _NAMED:
        return listed(names)
    return f"all {of} variants" if len(names) == of else f"{len(names)} of {of} variants"


def _finding(study: Study, group: Group, studio: Studio) -> Text | None:
    """What is established on the other measures of a group, each adjusted for its own rivals; None for nothing."""
    frame = study.differences
    rows = frame[(frame["stage"] == group.stage) & (frame["task"] == group.task) & (frame["family"] == "column")]
    measures = {measure.key: measure for measure in primary(group)}
    claims, claimed = [], dict[str, None]()
    for key, those in rows[rows["measure"].isin(measures)].groupby("measure", sort=False, observed=True):
        for verdict in (BETTER, WORSE):
            variants = list(those.loc[those["verdict"] == verdict, "variant"])
            names = [quoted(variant) for variant in variants]
            claimed |= dict.fromkeys(variants)
            if names:
                claims.append(f"{verdict} in {measures[key].label} {_some(names, len(those))}")
    if not claims:
        return None
    said = f"{group.title}, against {quoted(study.reference)}, each measure by itself: {'; '.join(claims)}."
    place = difference_place(group, next(iter(measures.values())))
    rows = [studio.row(*place, variant) for variant in claimed]
    return Text(said, rows=rows if len(rows) <= _NAMED else [])


def _table(study: Study, places: Sequence[tuple[str, str, str]], rows: pd.DataFrame, studio: Studio) -> Block:
    """Per variant: its score with interval and verdict, the grades it never finds, and collapsed runs if any."""
    means = study.means
    header, columns = [], []
    for stage, task, key in places:
        group, measure = _place(study, stage, task, key)
        here = (means["stage"] == stage) & (means["task"] == task) & (means["measure"] == key)
        own = {row.variant: row for row in means[here].itertuples()}
        gaps = {gap.variant: gap for gap in verdicts.of_measure(rows, group, measure)}
        arrow = measure.heading.removeprefix(measure.label)
        header.append(f"{named(study, group, measure)}{arrow}")
        columns.append((own, gaps))
    groups = [group for group in study.groups() if group.stage == study.stages[-1]]

    def entries(variant: str) -> list[Entry]:
        line = []
        for own, gaps in columns:
            value, gap = own.get(variant), gaps.get(variant)
            established = gap is not None and gap.verdict in (BETTER, WORSE, EQUIVALENT)
            said = gap.verdict if established else "reference" if variant == study.reference else ""
            own_interval = interval(value.low, value.high, sign=False) if value else ""
            line.append(
                Entry(number(value.mean), f"{own_interval} {said}".strip(), said == BETTER) if value else Entry(MISSING)
            )
        lost = [text for group in groups if variant in group.variants if (text := _never(study, group, variant))]
        line.append(Entry("; ".join(lost) or "none"))
        return [*line, Entry(f"{len(collapsed[variant])} of {count(runs[variant], 'seed')}")] if any_collapsed else line

    runs = {
        v: len({cell.seed for group in groups for cell in group.cells if cell.variant == v}) for v in study.variants
    }
    collapsed = {v: set().union(*(_constant(group, v) for group in groups)) for v in study.variants}
    any_collapsed = any(collapsed.values())
    caption = (
        f"Mean over seeds, with its own interval. {bold(study.reference)} Never found: grades of the test set that no "
        f"test example is given, with how many of the seeds.{' Collapsed: one grade for all.' if any_collapsed else ''}"
    )
    header += ["Never found", *(["Collapsed"] if any_collapsed else [])]
    return studio.table(caption, header, {variant: entries(variant) for variant in study.variants}, place=PLACE)


def _constant(group: Group, variant: str) -> set[int]:
    """The seeds with which a variant gives every test example the same grade."""
    cells = (cell for cell in group.cells if cell.variant == variant)
    return {cell.seed for cell in cells if len(np.unique(group.of(cell).grades)) == 1}


def _never(study: Study, group: Group, variant: str) -> str:
    """The grades of the test set that a variant gives to no test example, with how many of its seeds."""
    lost: dict[str, list[bool]] = {}
    for cell in (cell for cell in group.cells if cell.variant == variant):
        result = group.of(cell)
        for k in np.unique(result.labels[result.labels >= 0]):
            lost.setdefault(group.grades[k], []).append(not (result.grades == k).any())
    texts = [f"{grade} ({sum(runs)}/{len(runs)})" for grade, runs in lost.items() if any(runs)]
    task = f"{group.task.upper()}: " if len(study.tasks(group.stage)) > 1 and texts else ""
    return f"{task}{', '.join(texts)}"
