"""The answer in plain words, written from the numbers."""

from __future__ import annotations

import numpy as np

from ordinal_blast.report import published
from ordinal_blast.report.compare import Study
from ordinal_blast.report.formats import count, interval, listed, number, quoted
from ordinal_blast.report.measures import LEVEL, Difference, Measure, best_of, differences, over_seeds, primary
from ordinal_blast.report.results import Group


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
    gaps = [d for group in study.groups() for m in primary(group) for d in differences(group, study.reference, m)]
    if not gaps:
        return f"No seed has a result of both {reference} and another variant, so nothing is compared with it."
    tested = [difference for difference in gaps if difference.low == difference.low]
    if not tested:
        return (
            f"No paired difference to {reference} has two seeds that disagree, so no interval over seeds exists, and "
            "no difference can be told from what another seed would have changed."
        )
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
    """Per stage and task: published values reached, the best variant by measure, whether its interval excludes zero."""
    reached = [sentence for group in study.groups() for sentence in published.verdict(group)]
    return [*reached, *(_finding(study, group) for group in study.groups()), *collapsed(study)]


def _finding(study: Study, group: Group) -> str:
    winners: dict[tuple[str, ...], list[str]] = {}
    against: list[Difference] = []
    measures = primary(group)
    if not measures:
        return f"{group.title}: no measure has a value."
    if not group.common:
        return f"{group.title}: no seed was finished by all variants, so none is called the best."
    for measure in measures:
        table = over_seeds(group, measure, group.common)
        if best := best_of(group, measure):
            winners.setdefault(best, []).append(_value(measure, table.loc[best[0]]))
        if best and study.reference not in best:
            against += [d for d in differences(group, study.reference, measure) if d.variant == best[0]]
    if not winners:
        return f"{group.title}: no measure has a value with every seed, so no variant is called the best."
    if len(group.variants) < 2:
        return f"{group.title}: " + "; ".join(listed(values) for values in winners.values()) + "."
    mean = "mean " if len(group.common) > 1 else ""
    claims = "; ".join(
        f"{_named(names, group)} {'has' if len(names) == 1 else 'share'} the best {mean}{listed(values)}"
        for names, values in winners.items()
    )
    over = "" if len(group.common) == group.planned else f" over the {count(len(group.common), 'seed')} all finished"
    return f"{group.title}{over}: {claims}. {_compared(study.reference, group, against)}".strip()


def collapsed(study: Study) -> list[str]:
    """At most one statement: which variants give every test example the same grade with some seed."""
    collapsed = []
    for group in study.groups():
        constant = [cell.variant for cell in group.cells if len(np.unique(group.of(cell).grades)) == 1]
        if constant:
            collapsed.append(f"{group.title}: {_named(tuple(dict.fromkeys(constant)), group)}")
    opening = "Not learned to grade, every test example given the same grade with at least one seed"
    return [f"{opening}: {'; '.join(collapsed)}."] if collapsed else []


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
        value = "mean" if len(group.common) > 1 else "value"
        return f"No variant has a better {value} than the reference {quoted(reference)}."
    decided: dict[str, list[str]] = {}
    for d in against:
        if d.excludes_zero:
            text = f"{d.measure.label} {number(d.mean, sign=True)} {interval(d.low, d.high)}"
            decided.setdefault(d.variant, []).append(text)
    undecided = list(dict.fromkeys(d.measure.label for d in against if not d.excludes_zero))
    sentences = []
    if decided:
        claims = "; ".join(f"for {quoted(variant)} on {listed(values)}" for variant, values in decided.items())
        sentences.append(f"Against {quoted(reference)} the interval excludes zero {claims}.")
    if undecided:
        opening = "It does not on" if decided else f"The lead over {quoted(reference)} may be seed variance alone on"
        sentences.append(f"{opening} {listed(undecided)}.")
    return " ".join(sentences)
