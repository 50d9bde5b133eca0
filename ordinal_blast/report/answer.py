"""The answer in plain words, written from the numbers, and what those numbers can and cannot say."""

from __future__ import annotations

import numpy as np

from ordinal_blast.report import published, resampling
from ordinal_blast.report.formats import count, interval, listed, number, quoted
from ordinal_blast.report.measures import LEVEL, PRIMARY, Difference, Measure, differences, over_seeds, present
from ordinal_blast.report.rankings import patients_of, same_examples, thresholds, units
from ordinal_blast.report.results import Group, Study

FEW = 30  # patients below which DeLong's normal approximation and the bootstrap are known to be too sure


def lead(study: Study) -> str:
    """One paragraph: how many paired differences stand out, against how many would by chance."""
    reference = quoted(study.reference)
    if not study.cells:
        return "No cell has finished, so there is nothing to compare yet."
    if study.reference not in study.variants:
        return f"The reference {reference} has no finished cell, so nothing can be compared with it yet."
    if not study.rivals:
        return f"Only the reference {reference} has finished, so there is nothing to compare it with."
    if len(study.seeds) == 1:
        return (
            f"One seed was run: no interval over seeds is possible, so no difference to {reference} below can be told "
            "from what another seed would have changed. Read the numbers as a first look, not as a ranking."
        )
    found = [
        d for group in study.groups() for m in present(group, PRIMARY) for d in differences(group, study.reference, m)
    ]
    tested = [difference for difference in found if difference.low == difference.low]
    if not tested:
        return f"No paired difference to {reference} has two seeds that disagree, so no interval over seeds exists."
    decided = [difference for difference in tested if difference.excludes_zero]
    by_chance = (1 - LEVEL) * len(tested)
    if not decided:
        return (
            f"No difference is established: none of the {len(tested)} paired differences to {reference} "
            f"has a 95 % interval over seeds that excludes zero. That is no proof that the variants are equal."
        )
    better = sum((difference.mean > 0) == difference.measure.higher for difference in decided)
    verdict = (
        f"Of {count(len(tested), 'paired difference')} to {reference}, {len(decided)} "
        f"{'has' if len(decided) == 1 else 'have'} a 95 % interval over seeds that excludes zero: "
        f"{better} in favour of the other variant, {len(decided) - better} in favour of {reference}."
    )
    chance = f"If nothing differed, about {by_chance:.1f} would by chance: no interval is adjusted for their number"
    return f"{verdict} {chance}{', so this is no more than chance gives' if len(decided) <= by_chance else ''}."


def findings(study: Study) -> list[str]:
    """Per model and task: published values reached, the best variant by measure, whether its interval excludes zero."""
    reached = [sentence for group in study.groups() for sentence in published.verdict(group)]
    return [*reached, *(_finding(study, group) for group in study.groups()), *collapsed(study)]


def caveats(study: Study) -> list[str]:
    """What varies, what the intervals cover, and what they leave out."""
    if not study.cells:
        return []
    groups = study.groups()
    same = all(map(same_examples, groups))
    seeds = len(study.seeds)
    if seeds == 1:
        varies = "One seed: the ± that several seeds would give is not known."
    elif same:
        varies = f"{seeds} seeds: the seed varies, the split does not. Every cell is tested on the same examples."
    else:
        varies = f"{seeds} seeds: the seed and the test examples vary together, so ± mixes both."
    notes = [varies]
    if seeds > 1:
        covers = (
            "the spread over seeds; not which examples happen to be in the test set"
            if same
            else "the spread over seeds and splits, corrected for training sets that overlap (Nadeau & Bengio 2003)"
        )
        notes.append(f"Intervals are Student’s t over the seeds of the paired difference and cover {covers}.")
    if len(study.variants) > 1:
        notes.append(
            f"The best of {len(study.variants)} variants on one test set is flattered by being picked: "
            "confirm it on examples it was not picked on."
        )
    rankings = [ranking for group in groups for ranking in thresholds(group)]
    if rankings and study.rivals:
        notes.append(
            "DeLong’s test compares two fixed sets of scores, averaged over seeds, on this one test set: it covers "
            "which examples were tested, not what another seed or another training set would change. Holm’s p is "
            "adjusted over the variants of one table, not over tables."
        )
    if any(resampling.allowed(group, study.reference) for group in groups):
        notes.append(
            "The bootstrap intervals under “Had other examples been tested” cover which examples happen to be in the "
            "test set, and not the seeds."
        )
    patients = next((found for group in groups if (found := patients_of(group)) is not None), None)
    if patients is not None:
        few = ". With so few, p values and intervals are too small" if patients.max() + 1 < FEW else ""
        notes.append(
            f"The {len(patients):,} test examples come from {units(patients)}: DeLong’s test and the bootstrap take "
            f"those as independent, not the examples{few}."
        )
    return notes


def _finding(study: Study, group: Group) -> str:
    winners: dict[tuple[str, ...], list[str]] = {}
    against: list[Difference] = []
    for measure in present(group, PRIMARY):
        table = over_seeds(group, measure)
        best = tuple(table.index[measure.best(table["mean"])])
        winners.setdefault(best, []).append(_value(measure, table.loc[best[0]]))
        if study.reference not in best:
            against += [d for d in differences(group, study.reference, measure) if d.variant == best[0]]
    if len(group.variants) < 2:
        return f"{group.title}: " + "; ".join(listed(values) for values in winners.values()) + "."
    mean = "mean " if len(study.seeds) > 1 else ""
    claims = "; ".join(
        f"{_named(names, group)} {'has' if len(names) == 1 else 'share'} the best {mean}{listed(values)}"
        for names, values in winners.items()
    )
    return f"{group.title}: {claims}. {_compared(study.reference, group, against)}".strip()


def collapsed(study: Study) -> list[str]:
    """At most one statement: which variants give every test example the same grade with some seed."""
    found = []
    for group in study.groups():
        constant = [
            cell.variant for cell in group.cells if len(np.unique(cell.of_test(group.model, group.task, "grades"))) == 1
        ]
        if constant:
            found.append(f"{group.title}: {_named(tuple(dict.fromkeys(constant)), group)}")
    if not found:
        return []
    return [
        f"Not learned to grade, every test example given the same grade with at least one seed: {'; '.join(found)}."
    ]


def _named(variants: tuple[str, ...], group: Group) -> str:
    """One or two variants by name, more by their number."""
    if len(variants) > 2:
        return (
            f"{'all' if len(variants) == len(group.variants) else f'{len(variants)} of'} {len(group.variants)} variants"
        )
    return listed([quoted(variant) for variant in variants])


def _value(measure: Measure, line: dict[str, float]) -> str:
    spread = f" ± {number(line['sd'])}" if line["seeds"] > 1 else ""
    return f"{measure.label} ({number(line['mean'])}{spread})"


def _compared(reference: str, group: Group, against: list[Difference]) -> str:
    """Which of the winners' differences to the reference stand out."""
    if reference not in group.variants:
        return ""
    if not against:
        return f"Nothing does better than the reference {quoted(reference)} there."
    told: dict[str, list[str]] = {}
    for d in against:
        if d.excludes_zero:
            text = f"{d.measure.label} {number(d.mean, sign=True)} {interval(d.low, d.high)}"
            told.setdefault(d.variant, []).append(text)
    untold = list(dict.fromkeys(d.measure.label for d in against if not d.excludes_zero))
    sentences = []
    if told:
        claims = "; ".join(f"for {quoted(variant)} on {listed(values)}" for variant, values in told.items())
        sentences.append(f"Against {quoted(reference)} the interval excludes zero {claims}.")
    if untold:
        opening = "It includes zero on" if told else f"The lead over {quoted(reference)} may be seed variance alone on"
        sentences.append(f"{opening} {listed(untold)}.")
    return " ".join(sentences)
