"""Several raters of the same items as frames: votes, who is near the votes of others, how far they agree, who is odd.

Intervals are over new items, or the groups that items belong to, such as patients; these raters are taken as they are.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ordinal_blast.data.annotations import Annotations
from ordinal_blast.data.sheets import shown
from ordinal_blast.errors import UsageError
from ordinal_blast.evaluation import concordance, left_out, multireader, rater_model, raters, simultaneous
from ordinal_blast.evaluation.multireader import Comparison, Contrast
from ordinal_blast.evaluation.validation import count_units
from ordinal_blast.report.formats import count, limits, number
from ordinal_blast.report.measures import LEVEL
from ordinal_blast.types import ABSENCES, MISSING, NOT_DEFINED, Task

VOTES, APART, NETWORK, RELEASED = "votes", "does not vote", "network", "released"
PEOPLE = "average rater"
REVERSED, RANDOM, CONSTANT = "reversed", "at random", "one grade"
FRAMES = ("counts", "votes", "left_out", "raters", "pairs", "agreement", "distribution", "released")
NO_INTERVAL = (math.nan, math.nan)


@dataclasses.dataclass(frozen=True, eq=False)
class Panel:
    """Annotations, and who votes with which rule for ties; frames are computed when they are first asked for.

    voters: raters that vote, in the order of the rule "first". networks: raters that are held against the votes.
    released: a rater that is a consensus, "" for none; settled by task bool `[N]`: where that rests on a vote. needs:
    by task another one and the lowest grade of its vote at which this task is defined.
    """

    annotations: Annotations
    voters: tuple[str, ...]
    ties: raters.Ties
    networks: tuple[str, ...] = ()
    released_as: str = ""
    settled: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    needs: Mapping[str, tuple[str, int]] = dataclasses.field(default_factory=dict)

    @property
    def people(self) -> tuple[str, ...]:
        """Raters that are no network and no consensus: those that vote, then the others."""
        left = {*self.voters, *self.networks, self.released_as}
        return (*self.voters, *(rater for rater in self.annotations.raters if rater not in left))

    @functools.cached_property
    def tasks(self) -> tuple[Task, ...]:
        """Those that two of the raters who vote graded on two items, or groups, or more; the notes name the others."""
        return tuple(
            task for task in self.annotations.tasks if self._units((self._of(task, self.voters) >= 0).sum(1) > 1) > 1
        )

    @functools.cached_property
    def counts(self) -> pd.DataFrame:
        """How often every rater gave every grade of a task, and how often none, by reason."""
        rows = []
        for task in self.annotations.tasks:
            for rater in self.annotations.raters:
                own = self.annotations.grades[task.name][:, self._place(rater)]
                values = [(grade, k) for k, grade in enumerate(task.grades)] + [(why, k) for k, why in ABSENCES.items()]
                rows += [(task.name, rater, self._role(rater), value, int((own == k).sum())) for value, k in values]
        return pd.DataFrame(rows, columns=["task", "rater", "role", "value", "count"])

    @functools.cached_property
    def votes(self) -> pd.DataFrame:
        """The vote on every item, or why there is none, its share of the grades, how many, and whether they tied."""
        frames = []
        for task in self.annotations.tasks:
            graded = self._of(task, self.voters)
            casts = (graded[:, :, None] == np.arange(task.num_classes)).sum(axis=1)
            most = casts.max(axis=1)
            voted = self._vote(task)
            columns: dict[str, Any] = {"task": task.name, "item": self.annotations.items}
            if self.annotations.groups is not None:
                columns["group"] = self.annotations.groups
            columns |= {"vote": _named(task, voted), "grades": casts.sum(axis=1)}
            columns["share"] = np.where(voted >= 0, most / np.maximum(casts.sum(axis=1), 1), np.nan)
            columns["tied"] = ((casts == most[:, None]).sum(axis=1) > 1) & (most > 0) & (voted != NOT_DEFINED)
            if self.released_as:
                columns["released"] = _named(task, self._released(task))
                columns["rests_on_a_vote"] = self.settled.get(task.name, np.ones(len(voted), bool))
            frames.append(pd.DataFrame(columns))
        return pd.concat(frames, ignore_index=True)

    @functools.cached_property
    def released(self) -> pd.DataFrame:
        """Items by task on which the vote is the released consensus or another, and whether that rests on a vote."""
        if not self.released_as:
            return pd.DataFrame(columns=["task", "rests_on_a_vote", "items", "equal"])
        rows = self.votes.assign(equal=self.votes["vote"] == self.votes["released"])
        sums = rows.groupby(["task", "rests_on_a_vote"], sort=False)["equal"].agg(["size", "sum"]).reset_index()
        return sums.rename(columns={"size": "items", "sum": "equal"})

    @functools.cached_property
    def left_out(self) -> pd.DataFrame:
        """The average rater, and every network, at the vote of the others, by rule for ties (equations 4 and 5).

        Networks are held against the same votes on the items that they graded; difference is rater minus network, its
        interval and p adjusted for the number of networks (Bonferroni).
        """
        rows = [row for task in self.tasks for ties in raters.TIES for row in self._left_out(task, ties)]
        columns = ["task", "ties", "grader", "accuracy", "low", "high", "n", "units", "tied"]
        return pd.DataFrame(rows, columns=[*columns, "difference", "difference_low", "difference_high", "p_adjusted"])

    def _left_out(self, task: Task, ties: str) -> Iterator[dict[str, Any]]:
        graded, size = self._of(task, self.voters), task.num_classes
        of = raters.others(graded, ties, size)  # type: ignore[arg-type]
        voted = np.isfinite(of.human)
        shared = {"task": task.name, "ties": ties, "tied": of.tied}
        if self._units(voted) > 1:
            one = left_out.people(graded, ties, num_classes=size, cases=self._cases(), confidence=LEVEL)
            yield shared | {"grader": PEOPLE, "n": int(voted.sum())} | _accuracy(one, 0)
        for network in self.networks:
            said = self._of(task, [network])[:, 0]
            both = voted & (said >= 0)
            if self._units(both) > 1:
                one = left_out.compare(
                    graded[both],
                    said[both][None, None],
                    ties,
                    num_classes=size,
                    cases=self._cases(both),
                    confidence=LEVEL,
                )
                gap, tests = one.difference(0, 1), len(self.networks)
                row = {"grader": network, "n": int(both.sum()), "difference": gap.estimate}
                ends = simultaneous.interval(gap, confidence=1 - (1 - LEVEL) / tests)
                row["difference_low"], row["difference_high"] = ends
                row["p_adjusted"] = min(1.0, tests * simultaneous.p_value(gap))
                yield shared | row | _accuracy(one, 1)

    @functools.cached_property
    def raters(self) -> pd.DataFrame:
        """Every rater and network: accuracy and Kendall's tau-b at the vote of the others who vote, and what that says.

        p_adjusted: of tau being 0, times the number of raters. says: reversed where tau is below 0 and p_adjusted below
        .05, else at random where its interval reaches 0; one grade where the rater gives no other. bias and magnifier:
        of the model of all people.
        """
        rows = []
        for task in self.tasks:
            graders = (*self.people, *self.networks)
            model = rater_model.fit(self._of(task, self.people), task.num_classes)
            fitted = dict(zip(self.people, zip(model.bias, model.magnifier, strict=True), strict=True))
            for rater in graders:
                own = self._of(task, [rater])[:, 0]
                others = raters.vote(self._of(task, [name for name in self.voters if name != rater]), self.ties)
                both = (own >= 0) & (others >= 0)
                row = {"task": task.name, "rater": rater, "role": self._role(rater), "n": int(both.sum())}
                row |= self._beside(task, own, others, both, len(graders))
                row |= dict(zip(("bias", "magnifier"), fitted.get(rater, NO_INTERVAL), strict=True))
                rows.append(row)
        columns = ["task", "rater", "role", "n", "accuracy", "low", "high", "tau", "tau_low", "tau_high", "p_adjusted"]
        return pd.DataFrame(rows, columns=[*columns, "says", "bias", "magnifier"])

    def _beside(self, task: Task, own: np.ndarray, others: np.ndarray, both: np.ndarray, tests: int) -> dict[str, Any]:
        """Accuracy and tau of one rater at the vote of the others, one of so many tests."""
        if self._units(both) < 2:
            return {"says": ""}
        accuracy, tau = (
            self._measured(name, others[both], own[both], task, both) for name in ("accuracy", "kendall_tau")
        )
        row: dict[str, Any] = {"accuracy": accuracy.estimate, "tau": tau.estimate}
        row["low"], row["high"] = _ends(accuracy, (0, 1))
        row["tau_low"], row["tau_high"] = _ends(tau)
        row["p_adjusted"] = min(1.0, tests * simultaneous.p_value(tau))
        row["says"] = RANDOM if row["tau_low"] <= 0 else CONSTANT if len(np.unique(own[both])) == 1 else ""
        if tau.estimate < 0 and row["p_adjusted"] < 1 - LEVEL:
            row["says"] = REVERSED
        return row

    @functools.cached_property
    def pairs(self) -> pd.DataFrame:
        """Quadratic and linear kappa of every two people, on the items that both graded."""
        rows = []
        for task in self.tasks:
            for pair in itertools.combinations(self.people, 2):
                graded = self._of(task, pair)
                both = (graded >= 0).all(axis=1)
                row = {"task": task.name, "first": pair[0], "second": pair[1], "n": int(both.sum())}
                for name in ("qwk", "linear_kappa") if self._units(both) > 1 else ():
                    one = self._measured(name, *graded[both].T, task, both)
                    row |= dict(zip((name, f"{name}_low", f"{name}_high"), (one.estimate, *_ends(one)), strict=True))
                rows.append(row)
        kappas = [f"{name}{end}" for name in ("qwk", "linear_kappa") for end in ("", "_low", "_high")]
        return pd.DataFrame(rows, columns=["task", "first", "second", "n", *kappas])

    @functools.cached_property
    def agreement(self) -> pd.DataFrame:
        """Krippendorff's alpha and intraclass correlations, of those who vote and of all where these are more."""
        rows = []
        who = {"who vote": self.voters} | ({"all": self.people} if len(self.people) > len(self.voters) else {})
        for task, (name, of) in itertools.product(self.tasks, who.items()):
            graded = self._of(task, of)
            computed: tuple[tuple[Sequence[str], Comparison], ...] = (
                (
                    [f"alpha, {level}" for level in concordance.ALPHAS],
                    concordance.alpha(graded, task.num_classes, cases=self._cases()),
                ),
                (concordance.ICCS, concordance.icc(graded, cases=self._cases())),
            )
            for statistics, one in computed:
                for k, statistic in enumerate(statistics):
                    mean = one.mean(k)
                    low, high = _ends(mean)
                    rows.append((task.name, name, len(of), statistic, mean.estimate, low, high, one.units))
        columns = ["task", "raters", "number", "statistic", "estimate", "low", "high", "units"]
        return pd.DataFrame(rows, columns=columns)

    @functools.cached_property
    def distribution(self) -> pd.DataFrame:
        """How often every grade was given to items of every vote, by those who vote (figure 4 of the paper)."""
        rows = []
        for task in self.tasks:
            counts = self.annotations_by_vote(task)
            rows += [
                (task.name, task.grades[voted], task.grades[grade], int(counts[voted, grade]))
                for voted, grade in np.ndindex(*counts.shape)
            ]
        return pd.DataFrame(rows, columns=["task", "vote", "grade", "count"])

    def annotations_by_vote(self, task: Task) -> np.ndarray:
        """The same as a table int `[K, K]`, rows votes."""
        return raters.distribution(self._of(task, self.voters), self.ties, task.num_classes)

    def odd(self) -> list[str]:
        """One sentence a rater whose scale is reversed, who cannot be told from chance, or gives one grade."""
        rows = self.raters[self.raters["says"] != ""]
        words = {
            REVERSED: "is reversed",
            RANDOM: "cannot be told from grades at random",
            CONSTANT: "is always the same",
        }
        return [
            f"{row.task} by {row.rater} {words[row.says]}: Kendall's tau-b with the vote of the others is "
            f"{number(row.tau)} {limits(row.tau_low, row.tau_high)}, {count(row.n, 'item')}"
            for row in rows.itertuples()
        ]

    def frames(self) -> dict[str, pd.DataFrame]:
        """Every frame by its name, those of FRAMES."""
        return {name: getattr(self, name) for name in FRAMES}

    def _measured(self, name: str, labels: np.ndarray, grades: np.ndarray, task: Task, kept: np.ndarray) -> Contrast:
        one = multireader.measure(
            name, labels, grades[None, None], num_classes=task.num_classes, cases=self._cases(kept), confidence=LEVEL
        )
        return one.mean(0)

    def _vote(self, task: Task) -> np.ndarray:
        """The vote int `[N]`, or one of ABSENCES."""
        graded = self._table(task, self.voters)
        voted = raters.vote(np.maximum(graded, MISSING), self.ties)
        undefined = (voted < 0) & (graded == NOT_DEFINED).any(axis=1) & ~(graded >= 0).any(axis=1)
        if task.name in self.needs:
            other, lowest = self.needs[task.name]
            names = [one.name for one in self.annotations.tasks]
            deciding = self._vote(self.annotations.tasks[names.index(other)])
            undefined |= (deciding >= 0) & (deciding < lowest)
        return np.where(undefined, NOT_DEFINED, voted)

    def _released(self, task: Task) -> np.ndarray:
        return self._table(task, [self.released_as])[:, 0]

    def _of(self, task: Task, names: Sequence[str]) -> np.ndarray:
        """Grades int `[N, R]` of some raters, -1 where there is none, whatever the reason."""
        return np.maximum(self._table(task, names), MISSING)

    def _table(self, task: Task, names: Sequence[str]) -> np.ndarray:
        return self.annotations.grades[task.name][:, [self._place(name) for name in names]]

    def _place(self, rater: str) -> int:
        return self.annotations.raters.index(rater)

    def _role(self, rater: str) -> str:
        if rater in self.networks:
            return NETWORK
        return RELEASED if rater == self.released_as else VOTES if rater in self.voters else APART

    def _cases(self, kept: np.ndarray | None = None) -> np.ndarray | None:
        of = self.annotations.groups
        return of if of is None or kept is None else of[kept]

    def _units(self, kept: np.ndarray) -> int:
        """How many different groups, or items, are kept."""
        of = self.annotations.groups
        return int(kept.sum()) if of is None else count_units(np.unique(of[kept], return_inverse=True)[1])


def panel(
    annotations: Annotations,
    *,
    voters: Sequence[str] = (),
    ties: str = "",
    networks: Sequence[str] = (),
    released: str = "",
) -> Panel:
    """The panel of annotations: all raters vote that are no network and not the released consensus, unless named.

    ties: "median" unless said otherwise. Raises UsageError for names and rules that there are not, and where fewer than
    two raters vote or no task has two items with two of their grades.
    """
    for option, names in (("--votes", voters), ("--network", networks), ("--released", [released] if released else [])):
        for name in names:
            if name not in annotations.raters:
                raise UsageError(f"{option} {shown(name)}: the raters are {shown(', '.join(annotations.raters))}")
    if twice := sorted({*networks, released} & {*voters}):
        raise UsageError(f"--votes {shown(twice[0])}: it is a network, or the released consensus, too: say one")
    ties = ties or "median"
    if ties not in raters.VOTED:
        raise UsageError(f"--ties {shown(ties)}: the rules are {', '.join(raters.VOTED)}")
    others = tuple(name for name in annotations.raters if name not in (*networks, released))
    of = Panel(annotations, tuple(voters) or others, ties, tuple(networks), released)  # type: ignore[arg-type]
    if len(of.voters) < 2:
        raise UsageError(
            f"{len(of.voters)} of the raters votes ({shown(', '.join(of.voters))}): two or more are needed"
        )
    if not of.tasks:
        raise UsageError(
            "no task has two items, or groups, that two of the raters who vote graded: nothing can be compared; "
            "check the names in the columns item and task"
        )
    return of


def _named(task: Task, grades: np.ndarray) -> list[str]:
    return [task.grades[k] if k >= 0 else ABSENCES[k] for k in grades.tolist()]


def _ends(mean: Contrast, bounds: tuple[float, float] = (-1, 1)) -> tuple[float, float]:
    if mean.degenerate or not bounds[0] < mean.estimate < bounds[1]:
        return NO_INTERVAL
    return simultaneous.interval(mean, confidence=LEVEL, bounds=bounds)


def _accuracy(one: Comparison, variant: int) -> dict[str, Any]:
    mean = one.mean(variant)
    low, high = _ends(mean, (0, 1))
    return {"accuracy": mean.estimate, "low": low, "high": high, "units": one.units}
