"""What is measured, which way is better, and what it is over seeds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterable

import numpy as np
import pandas as pd

from ordinal_blast.evaluation import metrics
from ordinal_blast.report.results import Group

LEVEL = 0.95


@dataclasses.dataclass(frozen=True)
class Measure:
    """A metric as a reader meets it: its key in the rows, its name, and whether a higher value is better."""

    key: str
    label: str
    higher: bool

    @property
    def heading(self) -> str:
        """The label with an arrow that points to better."""
        return f"{self.label} {'↑' if self.higher else '↓'}"

    def best(self, values: pd.Series) -> pd.Series:
        """True where a value is the best one (all of them on a tie); missing values never are."""
        known = values.dropna()
        best = (known.max() if self.higher else known.min()) if len(known) else math.nan
        return pd.Series(np.isclose(values, best, rtol=0, atol=1e-12), index=values.index)


PRIMARY = (
    Measure("accuracy", "Accuracy", True),
    Measure("mse", "MSE", False),
    Measure("mae", "MAE", False),
    Measure("qwk", "QWK", True),
)
SECONDARY = (
    Measure("off_by_one_accuracy", "Off-by-one accuracy", True),
    Measure("balanced_accuracy", "Balanced accuracy", True),
    Measure("rmse", "RMSE", False),
    Measure("amae", "AMAE", False),
    Measure("mmae", "MMAE", False),
    Measure("linear_kappa", "Linear kappa", True),
    Measure("kendall_tau", "Kendall τ", True),
    Measure("spearman", "Spearman ρ", True),
    Measure("min_sensitivity", "Min. sensitivity", True),
    Measure("gmsec", "GMSEC", True),
    Measure("rps", "RPS", False),
    Measure("log_loss", "Log loss", False),
    Measure("ece", "ECE", False),
)


def over_seeds(group: Group, measure: Measure, seeds: Collection[int] | None = None) -> pd.DataFrame:
    """Mean, sample standard deviation (NaN for one seed) and number of seeds per variant, in plan order.

    seeds: those that count, left out all that a variant finished. NaN where the measure is undefined with one of them.
    """
    rows = group.rows if seeds is None else group.rows[group.rows["seed"].isin(seeds)]
    by_variant = rows.groupby("variant", sort=False, observed=True)[measure.key]
    return pd.DataFrame(
        {
            "mean": by_variant.mean(skipna=False),
            "sd": by_variant.std(ddof=1, skipna=False),
            "seeds": by_variant.size(),
        }
    )


def best_of(group: Group, measure: Measure) -> tuple[str, ...]:
    """The variants with the best mean over the seeds that all finished; none where there are none, or no value."""
    means = over_seeds(group, measure, group.common)["mean"]
    return tuple(means.index[measure.best(means)])


def present(group: Group, measures: Iterable[Measure]) -> list[Measure]:
    """Those measures that the rows have a value for."""
    return [measure for measure in measures if measure.key in group.rows and group.rows[measure.key].notna().any()]


def primary(group: Group) -> list[Measure]:
    """What is shown first: those measures of PRIMARY, and of one's own, that have a value."""
    own = {name: higher for cell in group.cells for name, higher in cell.record.measures.items()}
    return present(group, [*PRIMARY, *(Measure(name, name, higher) for name, higher in own.items())])


def secondary(group: Group) -> list[Measure]:
    """What is shown behind these."""
    return present(group, SECONDARY)


def tested_share(group: Group) -> tuple[int, int]:
    """Rows that one hold-out trains and validates on, and rows that it tests."""
    sizes = group.cells[0].record.dataset["sizes"]
    return sizes["train"] + sizes["val"], sizes["test"]


@dataclasses.dataclass(frozen=True)
class Baseline:
    """Always predict the commonest grade: its metrics, the grade, and the split in which it is the commonest."""

    grade: str
    split: str
    values: dict[str, float]


def baseline(group: Group) -> Baseline:
    """The majority-class predictor on the test split, averaged over the test sets of the first variant's seeds.

    The majority comes from the training labels where they were stored, else from the test labels, which flatters it.
    """
    split = "train" if all("train" in cell.record.models[group.stage].splits for cell in group.cells) else "test"
    k = len(group.grades)
    summaries = []
    for cell in (cell for cell in group.cells if cell.variant == group.variants[0]):
        truth = known(group.of(cell).labels)
        common = known(cell.record.models[group.stage].splits[split].tasks[group.task].labels)
        majority = int(np.bincount(common, minlength=k).argmax())
        summaries.append(metrics.summary(truth, np.full_like(truth, majority), num_classes=k))
    return Baseline(group.grades[majority], split, pd.DataFrame(summaries).mean(skipna=False).to_dict())


def known(labels: np.ndarray) -> np.ndarray:
    """The labels `[n]` that are not missing (−1)."""
    return labels[labels >= 0]
