"""Several data sets as frames: one row a data set, whatever number of seeds or hold-outs it was tried with."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from ordinal_blast.errors import NotInstalled
from ordinal_blast.evaluation import significance
from ordinal_blast.evaluation.multiplicity import holm
from ordinal_blast.report.compare import Study
from ordinal_blast.report.formats import listed, quoted
from ordinal_blast.report.measures import PRIMARY, Measure, primary
from ordinal_blast.report.ranks import declared, family_of, region, table
from ordinal_blast.report.results import Group
from ordinal_blast.report.verdicts import BETTER, CANNOT_TELL, NOT_TESTED, WORSE

LEVEL = 0.05
SEED, DRAWS = 0, 10_000  # of the posterior: half a percent of error, and a page in seconds


@dataclasses.dataclass(frozen=True, eq=False)
class Together:
    """Studies of several data sets, by the variants that finished in all of them.

    A data set is one row: its scores are averaged over the seeds or hold-outs that all these variants finished, and
    over its tasks, which share their examples. What is tested are data sets, so that five are the least.
    """

    studies: tuple[Study, ...]

    @functools.cached_property
    def groups(self) -> dict[str, list[Group]]:
        """The whole system on every task, by the name of the data set."""
        groups: dict[str, list[Group]] = {}
        for study in self.studies:
            for group in study.groups():
                if group.stage == study.stages[-1]:
                    groups.setdefault(group.cells[0].record.dataset["name"], []).append(group)
        return groups

    @functools.cached_property
    def variants(self) -> tuple[str, ...]:
        """The variants that finished on every data set and task, in the order of the first study."""
        groups = [group for of_one in self.groups.values() for group in of_one]
        return tuple(v for v in self.studies[0].variants if all(v in group.variants for group in groups))

    @property
    def reference(self) -> str:
        """The variant that all others are compared with, that of the first study."""
        return self.studies[0].reference

    @property
    def rivals(self) -> tuple[str, ...]:
        """The variants other than the reference."""
        return tuple(variant for variant in self.variants if variant != self.reference)

    @functools.cached_property
    def measures(self) -> dict[Measure, np.ndarray]:
        """Scores float64 `[D, M]` per measure that is defined everywhere, declared primary ones first."""
        groups = [group for of_one in self.groups.values() for group in of_one]
        shared = [m for m in primary(groups[0]) if all(m in primary(group) for group in groups)]
        shared.sort(key=lambda measure: not declared(self.studies[0], measure.key))
        scores = {m: np.stack([self._row(of_one, m) for of_one in self.groups.values()]) for m in shared}
        return {measure: values for measure, values in scores.items() if np.isfinite(values).all()}

    def _row(self, groups: Sequence[Group], measure: Measure) -> np.ndarray:
        """Scores `[M]` of one data set; NaN where a task has no seed that all variants finished."""
        tables = [table(group, measure, self.variants) for group in groups]
        if not all(map(len, tables)):
            return np.full(len(self.variants), np.nan)
        return np.mean([scores.mean(axis=0) for scores in tables], axis=0)

    @property
    def comparable(self) -> bool:
        """Whether there are two data sets or more, the reference, a rival, and a measure defined everywhere."""
        return len(self.groups) > 1 and self.reference in self.variants and bool(self.rivals) and bool(self.measures)

    @property
    def refusal(self) -> str:
        """Why nothing is tested across these data sets; empty where it is."""
        return significance.refusal(len(self.groups))

    @property
    def left_out(self) -> str:
        """Which variants and measures are missing, as sentences that start with a space; empty where none is."""
        everyone = dict.fromkeys(v for of_one in self.groups.values() for group in of_one for v in group.variants)
        absent = [quoted(variant) for variant in everyone if variant not in self.variants]
        undefined = [measure.label for measure in PRIMARY if measure not in self.measures]
        sentences = f" Left out, not finished on every data set: {listed(absent)}." if absent else ""
        return sentences + (f" Left out, undefined somewhere: {listed(undefined)}." if undefined else "")

    @functools.cached_property
    def scores(self) -> pd.DataFrame:
        """One row per measure, data set and variant: the mean score and its rank in the data set, 1 the best."""
        rows = []
        for measure, scores in self.measures.items():
            ranked = significance.ranks(scores, higher_is_better=measure.higher)
            for (row, dataset), (column, variant) in _cells(list(self.groups), self.variants):
                place = {"measure": measure.key, "higher_is_better": measure.higher, "dataset": dataset}
                place |= {"variant": variant, "variant_family": family_of(self.studies[0], variant)}
                rows.append(place | {"mean": scores[row, column], "rank": ranked[row, column]})
        return pd.DataFrame(rows)

    @functools.cached_property
    def ranks(self) -> pd.DataFrame:
        """One row per measure and variant: the mean of its ranks in the data sets."""
        by = ["measure", "higher_is_better", "variant", "variant_family"]
        ranks = self.scores.groupby(by, sort=False)["rank"].agg(["mean", "size"]).reset_index()
        return ranks.rename(columns={"mean": "mean_rank", "size": "datasets"})

    @functools.cached_property
    def tests(self) -> pd.DataFrame:
        """One row per measure: Friedman's test that all variants rank alike, and Nemenyi's critical difference.

        Up to ten data sets p comes from permutations, exact where they can be counted. The critical difference is NaN
        where Friedman's test does not reject. No rows for fewer than five data sets, or three variants.
        """
        if self.refusal or len(self.variants) < 3:
            return pd.DataFrame()
        rows = []
        for measure, scores in self.measures.items():
            friedman = significance.friedman(scores, higher_is_better=measure.higher)
            nemenyi = significance.nemenyi(scores, higher_is_better=measure.higher, alpha=LEVEL)
            rows.append(
                {
                    "measure": measure.key,
                    "datasets": len(scores),
                    "chi_squared": friedman.chi_squared,
                    "f": friedman.f,
                    "df1": friedman.df[0],
                    "df2": friedman.df[1],
                    "p": friedman.p_value,
                    "p_from": friedman.p_from,
                    "critical_difference": nemenyi.critical_difference if friedman.p_value < LEVEL else math.nan,
                }
            )
        return pd.DataFrame(rows)

    @functools.cached_property
    def differences(self) -> pd.DataFrame:
        """Every other variant minus the reference over data sets, by Wilcoxon's exact test with Holm over its family.

        One row per measure and variant; a family is all variants on all primary measures, or on one other measure. p is
        NaN, and the verdict "not tested" with the reason, below five data sets.
        """
        rows = []
        for measure, scores in self.measures.items():
            of = dict(zip(self.variants, scores.T, strict=True))
            own = of[self.reference]
            for rival in self.rivals:
                (test,) = significance.wilcoxon_holm(np.stack([of[rival], own], axis=1), [rival, self.reference])
                better = (of[rival] > own) if measure.higher else (of[rival] < own)
                rows.append(
                    {
                        "measure": measure.key,
                        "higher_is_better": measure.higher,
                        "variant": rival,
                        "reference": self.reference,
                        "variant_family": family_of(self.studies[0], rival),
                        "mean": float((of[rival] - own).mean()),
                        "median": test.median_difference,
                        "better_on": int(better.sum()),
                        "datasets": len(scores),
                        "p": math.nan if self.refusal else test.p_value,
                        "family": "primary" if declared(self.studies[0], measure.key) else "column",
                        "why": self.refusal,
                    }
                )
        frame = pd.DataFrame(rows)
        by = frame["measure"].where(frame["family"] == "column", "")  # all primary measures are one family
        frame["p_adjusted"] = frame.groupby(by)["p"].transform(lambda p: holm(p))
        frame["comparisons"] = frame.groupby(by)["p"].transform("count")
        frame["verdict"] = [_verdict(row.median, row.p_adjusted, row.higher_is_better) for row in frame.itertuples()]
        return frame

    @functools.cached_property
    def posterior(self) -> pd.DataFrame:
        """Chance that a variant is better than the reference, practically equivalent, or worse, on another data set.

        Bayesian signed-rank test (Benavoli et al., 2017), one row per measure and variant; `rope` bounds what is
        equivalent. No rows below five data sets, nor without the package baycomp.
        """
        rows = []
        for measure, scores in () if self.refusal else self.measures.items():
            rope = region(self.studies[0], measure.key)
            if rope is None:
                continue
            of = dict(zip(self.variants, scores.T, strict=True))
            for rival in self.rivals:
                try:
                    chance = significance.bayesian_signed_rank(
                        of[rival],
                        of[self.reference],
                        rope,
                        higher_is_better=measure.higher,
                        seed=SEED,
                        samples=DRAWS,
                    )
                except NotInstalled:
                    return pd.DataFrame()
                place = {"measure": measure.key, "variant": rival, "reference": self.reference, "rope": rope}
                chances = {"better": chance.p_a, "equivalent": chance.p_rope, "worse": chance.p_b}
                rows.append(place | chances | {"datasets": len(scores)})
        return pd.DataFrame(rows)

    @property
    def frames(self) -> dict[str, pd.DataFrame]:
        """All frames by name, those without a row left out."""
        names = ("scores", "ranks", "tests", "differences", "posterior")
        return {name: frame for name in names if len(frame := getattr(self, name))}


def _cells(rows: Sequence[str], columns: Sequence[str]) -> Iterator[tuple[tuple[int, str], tuple[int, str]]]:
    return ((row, column) for row in enumerate(rows) for column in enumerate(columns))


def _verdict(difference: float, p: float, higher: bool) -> str:
    """What the adjusted p supports of variant minus reference."""
    if math.isnan(p):
        return NOT_TESTED
    if p >= LEVEL:
        return CANNOT_TELL
    return BETTER if (difference > 0) == higher else WORSE
