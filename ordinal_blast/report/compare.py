"""One study as pandas frames: what the page is made from, and what a notebook asks for."""

from __future__ import annotations

import dataclasses
import functools
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, overload

import numpy as np
import pandas as pd

from ordinal_blast import question
from ordinal_blast.errors import UsageError
from ordinal_blast.evaluation.multireader import MEASURES
from ordinal_blast.record import Split, TaskResult
from ordinal_blast.report import (
    annotated,
    extremes,
    picks,
    probabilities,
    quantities,
    ranks,
    steps,
    strata,
    truths,
    verdicts,
)
from ordinal_blast.report.results import PLACE, Results
from ordinal_blast.report.verdicts import Judged

FRAMES = (  # of a study, in the order of a page, beside which they are written
    *("scores", "differences", "means", "components", "design", "auc", "ranks", "posterior", "calibration"),
    *("reliability", "sets", "uncertainty", "agreement", "strata", "diagnostics", "steps", "raters", "extremes"),
    "truths",
)


class Frame:
    """A property that is computed once and handed out as a copy, so that nobody's changes are another's numbers."""

    def __init__(self, compute: Callable[[Study], pd.DataFrame]) -> None:
        self._compute, self._key, self.__doc__ = compute, f"{compute.__name__} frame", compute.__doc__

    @overload
    def __get__(self, study: None, owner: type[Study]) -> Self: ...

    @overload
    def __get__(self, study: Study, owner: type[Study]) -> pd.DataFrame: ...

    def __get__(self, study: Study | None, owner: type[Study]) -> Self | pd.DataFrame:
        """The frame of a study; of none, this."""
        if study is None:
            return self
        kept: dict[str, pd.DataFrame] = study.__dict__
        if self._key not in kept:
            kept[self._key] = self._compute(study)
        return kept[self._key].copy()


class Study(Results):
    """Results as frames: scores, what differs and how sure that is, and everything the page shows."""

    def __repr__(self) -> str:
        """One line: a notebook shows it."""
        count = len(self.plan["variants"])
        variants = f"{count} variant{'s' * (count > 1)}, reference {self.reference}"
        cells = f"{len(self.cells)} of {len(self.plan['cells'])} cells finished"
        return f"<Study {self.plan['experiment']}: {variants}; {cells}; {', '.join(map(str, self.folders))}>"

    @Frame
    def differences(self) -> pd.DataFrame:
        """Every other variant minus the reference, one row per stage, task and measure, over seeds that both finished.

        `low` and `high` bound the 95 % interval of one difference; `low_adjusted` and `high_adjusted` hold for all
        `comparisons` of its `family` at once, "primary" or the "column" of its measure, over what `basis` says. From
        these alone comes `verdict`: better, worse, equivalent, cannot tell, or not tested, and `why`.
        """
        return verdicts.differences(self, self._judged)

    @Frame
    def means(self) -> pd.DataFrame:
        """Every variant's value, one row per stage, task and measure, with its own 95 % interval, not adjusted."""
        return verdicts.means(self, self._judged)

    @Frame
    def components(self) -> pd.DataFrame:
        """What the values of a measure vary with, one row per stage, task and measure, as variances.

        `seed_variance`, `variant_seed_variance` and `error`, with the covariances of errors of the same seed (`cov1`),
        the same variant (`cov2`) and neither (`cov3`); `f`, `df1`, `df2` and `p` test that all variants are alike.
        """
        return verdicts.components(self, self._judged)

    @Frame
    def design(self) -> pd.DataFrame:
        """The smallest difference of a primary measure that so many seeds and units show (`detectable`, 80 % power).

        A unit is a test example or a patient; `level` is adjusted; `present` marks the seeds and units of this study.
        """
        return verdicts.design(self, self._judged)

    @Frame
    def auc(self) -> pd.DataFrame:
        """The area under the ROC curve of every question "grade > k", and its difference to the reference.

        One row per stage, task, question and variant; means over seeds, intervals as those of `differences`.
        """
        return verdicts.areas(self)

    @Frame
    def diagnostics(self) -> pd.DataFrame:
        """Differences by another `view`, "seeds" or test "examples" alone, not adjusted: no verdict rests on them."""
        return verdicts.diagnostics(self, self._judged)

    @functools.cached_property
    def _judged(self) -> list[Judged]:
        return verdicts.judge(self)

    @Frame
    def ranks(self) -> pd.DataFrame:
        """Per stage, task, measure and variant: the rank of its mean, and its mean rank over seeds or hold-outs."""
        return ranks.ranks(self)

    @Frame
    def posterior(self) -> pd.DataFrame:
        """The chance that a variant is better than the reference, practically equivalent (within `rope`), or worse.

        From the differences and their standard errors; over hold-outs it is the Bayesian correlated t.
        """
        return ranks.posterior(self, self.differences)

    @Frame
    def calibration(self) -> pd.DataFrame:
        """What probabilities are worth, a row per model and per ensemble: see `probabilities.assess`."""
        return self._assessed[0]

    @Frame
    def reliability(self) -> pd.DataFrame:
        """Reliability curves with the bands of a calibrated model: see `probabilities.assess`."""
        return self._assessed[1]

    @Frame
    def sets(self) -> pd.DataFrame:
        """Conformal grade sets: see `probabilities.sets`."""
        return probabilities.sets(self)

    @Frame
    def uncertainty(self) -> pd.DataFrame:
        """Risk by coverage, and what an ensemble explains of its uncertainty: see `probabilities.uncertain`."""
        return probabilities.uncertain(self)

    @functools.cached_property
    def _assessed(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        return probabilities.assess(self)

    @Frame
    def agreement(self) -> pd.DataFrame:
        """Would the same one be picked twice, and the right one, of examples that share a group: see `picks.frame`."""
        return self.typed(picks.frame(self), picks.COLUMNS)

    @Frame
    def strata(self) -> pd.DataFrame:
        """The primary measures per clinic, instrument, or whatever tells test examples apart: see `strata.frame`."""
        return self.typed(strata.frame(self), strata.COLUMNS)

    @Frame
    def steps(self) -> pd.DataFrame:
        """What a later stage adds, paired by seed: the last one minus each earlier one, see `steps.frame`."""
        return self.typed(steps.frame(self), steps.COLUMNS)

    @Frame
    def raters(self) -> pd.DataFrame:
        """Human raters and models at the votes of the other raters, by every rule for ties: see `annotated.frame`."""
        return self.typed(annotated.frame(self), annotated.COLUMNS)

    @Frame
    def extremes(self) -> pd.DataFrame:
        """Confusions by the whole scale, and accuracy without the grades between: see `extremes.frame`."""
        return self.typed(extremes.frame(self), quantities.COLUMNS)

    @Frame
    def truths(self) -> pd.DataFrame:
        """What only data tell whose true grades and qualities are known: see `truths.frame`."""
        return self.typed(truths.frame(self), quantities.COLUMNS)

    def predictions(
        self,
        *,
        variant: str | None = None,
        seed: int | None = None,
        stage: str | None = None,
        task: str | None = None,
        split: str = "test",
    ) -> pd.DataFrame:
        """One row per example of a split, for every variant, seed, stage and task, or those that are named.

        `label` (−1 where missing) and `grade`, the decision, count grades from the worst, 0; `score` ranks; `p_NAME` is
        the probability of the grade NAME. What travels along with the examples comes last. Raises UsageError for a name
        that the study does not have.
        """
        asked = {"variant": variant, "seed": seed, "stage": stage, "task": task, "split": split}
        asked = {name: value for name, value in asked.items() if value is not None}
        for name, value in asked.items():
            there = self._scores[name].unique().tolist()
            if value not in there:
                raise UsageError(f"no {name} is {value!r}: there are {', '.join(map(str, there)) or 'none'}")
        frames = []
        for cell in self.cells:
            for model, part, result in cell.record.results():
                place = dict(
                    zip(PLACE, (cell.variant, cell.seed, model.name, result.task.name, part.name), strict=True)
                )
                if asked.items() <= place.items():
                    frames.append(_examples(place, part, result))
        return self.typed(pd.concat(frames or [pd.DataFrame()], ignore_index=True), (*PLACE, "id", "label", "grade"))

    def asking(
        self,
        *,
        reference: str | None = None,
        subject: str | None = None,
        primary: str | Sequence[str] | None = None,
        equivalence: float | None = None,
    ) -> Self:
        """The same runs, asked another question: what is left out stays as the ablation declared it.

        primary: "measure" or "measure:task", one or several. Raises UsageError for a name that the study does not have.
        """
        changes = {"reference": reference, "subject": subject, "primary": primary, "equivalence": equivalence}
        asked = question.of_plan(self.plan).another("report", self.plan["variants"], MEASURES, **changes)
        question.check_tasks(asked, [task for stage in self.stages for task in self.tasks(stage)])
        return dataclasses.replace(
            self, plan={**self.plan, **asked.tree(), "declared": self.plan.get("declared", self.plan)}
        )

    def report(self, out: Path | str) -> Path:
        """Write the report to the folder `out`; returns the path of its page."""
        from ordinal_blast.report import page  # a page is made from studies

        flags = [flag for name, words in self.otherwise.items() for word in words for flag in (f"--{name}", word)]
        command = shlex.join(["ordinal-blast", "report", *map(str, self.folders), "--out", str(out), *flags])
        return page.write([self], Path(out), command)


def _examples(place: Mapping[str, Any], split: Split, result: TaskResult) -> pd.DataFrame:
    columns = dict(
        place, id=split.ids, label=result.labels, grade=result.grades, score=result.scores.astype(np.float64)
    )
    columns |= {f"p_{grade}": result.probs[:, k].astype(np.float64) for k, grade in enumerate(result.task.grades)}
    travel = {
        f"{name}_column" if name in columns else name: column
        for name, column in split.columns.items()
        if column.ndim == 1  # not the grades of several raters
    }
    return pd.DataFrame(columns | travel)
