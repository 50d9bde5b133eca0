"""What a later stage adds: every variant's last trained stage less each earlier one, on the same test examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from ordinal_blast.evaluation import jackknife, multireader
from ordinal_blast.report import pairing, verdicts
from ordinal_blast.report.inference import Joint, Tested
from ordinal_blast.report.measures import LEVEL, PRIMARY, Measure
from ordinal_blast.report.quantities import enough
from ordinal_blast.report.results import Group, Results

COLUMNS: tuple[str, ...] = (
    "variant",
    "task",
    "measure",
    "higher_is_better",
    "stage",
    "earlier",
    "stage_mean",
    "earlier_mean",
)
COLUMNS += ("mean", "standard_error", "df", "low", "high", "p", "low_adjusted", "high_adjusted", "p_adjusted")
COLUMNS += ("comparisons", "basis", "seeds", "n", "units", "verdict", "why")
Place = tuple[str, Group, Group, Measure]  # variant, the last stage, an earlier one, measure


def frame(results: Results) -> pd.DataFrame:
    """The last stage minus each earlier one: one row per variant, task, measure of PRIMARY and earlier stage.

    Seeds are paired, as the stages of one seed are of one cell; `low` and `high` are of one difference over new seeds
    and new examples, those adjusted hold for all `comparisons` of the frame at once. Empty where there is one stage, or
    a task's stages were not tested on the same examples.
    """
    places = list(_places(results))
    tested = [_tested(*place) for place in places]
    adjusted, size, _ = verdicts.adjust(tested)
    rows = [_row(place, one, limits, size) for place, one, limits in zip(places, tested, adjusted, strict=True)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _places(results: Results) -> Iterator[Place]:
    groups = {(group.stage, group.task): group for group in results.groups()}
    for variant in results.variants:
        for (stage, task), last in groups.items():
            for earlier in results.stages[:-1] if stage == results.stages[-1] else ():
                before = groups.get((earlier, task))
                if before and _alike(variant, last, before):
                    yield from ((variant, last, before, measure) for measure in PRIMARY)


def _alike(variant: str, last: Group, before: Group) -> bool:
    """Whether the variant has a seed with both stages, on the same examples with the same labels, of two units."""
    if variant not in last.seeds or variant not in before.seeds or not (last.same_examples and before.same_examples):
        return False
    one, other = last.cells[0], before.cells[0]
    return bool(
        _seeds(variant, last, before)
        and np.array_equal(last.ids(one), before.ids(other))
        and np.array_equal(last.of(one).labels, before.of(other).labels)
        and enough(last.patients, int(last.known.sum()))
    )


def _seeds(variant: str, last: Group, before: Group) -> tuple[int, ...]:
    return pairing.common({"last": last.seeds[variant], "before": before.seeds[variant]})


def _tested(variant: str, last: Group, before: Group, measure: Measure) -> Tested:
    seeds = _seeds(variant, last, before)
    comparison = multireader.measure(
        measure.key,
        last.of(last.cells[0]).labels[last.known],
        np.stack([group.seeded(variant, seeds, "grades")[:, last.known] for group in (before, last)]),
        num_classes=len(last.grades),
        cases=last.patients,
        confidence=LEVEL,
    )
    joint = Joint((before.stage, last.stage), seeds, comparison)
    contrast = comparison.difference(1, 0)
    return Tested({last.stage: contrast}, {}, {last.stage: seeds}, {}, (joint,), last.units)


def _row(place: Place, tested: Tested, limits: verdicts.Adjusted, size: int) -> dict[str, Any]:
    variant, last, before, measure = place
    (contrast,), (joint,) = tested.differences.values(), tested.joints
    comparison, ends = joint.comparison, jackknife.bounds(measure.key, len(last.grades))
    earlier_mean, stage_mean = comparison.values.mean(axis=1).tolist()
    return {
        "variant": variant,
        "task": last.task,
        "measure": measure.key,
        "higher_is_better": measure.higher,
        "stage": last.stage,
        "earlier": before.stage,
        "stage_mean": stage_mean,
        "earlier_mean": earlier_mean,
        **verdicts.difference(tested, last.stage, limits, size, ends),
        "basis": contrast.basis,
        "seeds": len(joint.seeds),
        "n": int(last.known.sum()),
        "units": comparison.units,
        **verdicts.judgement(tested, last.stage, limits, higher=measure.higher),
    }
