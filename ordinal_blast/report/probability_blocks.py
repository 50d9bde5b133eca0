"""What probabilities are worth, on the page: calibration, grade sets, seed ensembles, and what holding back buys."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ordinal_blast.evaluation.conformal import GradeSets
from ordinal_blast.report import probability_figures
from ordinal_blast.report.blocks import Block, Details, Entry, Gallery, Part, Text
from ordinal_blast.report.compare import Study
from ordinal_blast.report.formats import MISSING, extent, number
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.probabilities import CALIBRATED_ON, ENSEMBLE, LEVEL, MOST_PROBABLE
from ordinal_blast.report.rankings import boundary, units
from ordinal_blast.report.results import Group

_REJECTED = 0.05  # p of the calibration test of one model
_METHODS = {"interval": "Shortest interval", "rps": "By RPS", "lac": "Least size (LAC)"}
_OF_ENSEMBLES = {"accuracy": "Accuracy ↑", "mae": "MAE ↓", "qwk": "QWK ↑", "rps": "RPS ↓", "log_loss": "Log loss ↓"}


def blocks(study: Study, group: Group, studio: Studio) -> list[Block]:
    """One stage on one task: a table of calibration, and behind it reliability, grade sets, ensembles and risk."""
    models = group.within(study.calibration)
    if models.empty:
        return []
    singles = models[models["model"] != ENSEMBLE]
    means = singles.groupby("variant", observed=True).mean(numeric_only=True)
    shown = _foremost(study, means)
    more = _reliability(study, group, studio, shown)
    more += _sets(study, group, studio)
    more += _ensembles(study, group, studio, models, means)
    more.append(_risk(study, group, studio, shown))
    folded = Details(f"Reliability curves, grade sets of {100 * LEVEL:g} %, seed ensembles, holding back", more)
    return [Part("What the probabilities are worth", [*_calibration(group, studio, singles, means), folded])]


def _foremost(study: Study, means: pd.DataFrame) -> list[str]:
    """What is drawn: the reference, the subject, and the variant of the least RPS."""
    return [v for v in dict.fromkeys((study.reference, study.subject, means["rps"].idxmin())) if v in means.index]


def _calibration(group: Group, studio: Studio, singles: pd.DataFrame, means: pd.DataFrame) -> list[Block]:
    def line(variant: str) -> list[Entry]:
        mean, tests = means.loc[variant], singles.loc[singles["variant"] == variant, "p"].dropna()
        return [
            Entry(number(mean["ece"]), f"debiased {number(max(0.0, mean['squared_gap']) ** 0.5)}"),
            Entry(f"{(tests < _REJECTED).sum()} of {len(tests)}" if len(tests) else MISSING),
            Entry(number(mean["brier"])),
            Entry(number(mean["miscalibration"])),
            Entry(number(mean["discrimination"])),
            Entry(number(mean["sharpness"])),
            Entry(number(mean["rps"]), f"expects {number(mean['expected_rps'])}"),
        ]

    alone = "examples" if group.patients is None else units(group.patients)
    notes = (
        "ECE of the most probable grade (15 bins) is above 0 by chance alone; debiased, the root mean square gap "
        "without what chance adds (10 bins). Rejected: models whose P(grade > k) fail a test of calibration, all k at "
        f"once (p < {_REJECTED}, not adjusted, {alone} taken as independent); one that passes need not be calibrated. "
        f"Brier = miscalibration − discrimination + {number(means['uncertainty'].mean())}, the uncertainty of the "
        "grades. Sharpness: mean Σ p², 1 when sure. An RPS that a model expects is too small where it is too sure."
    )
    caption = f"{group.title}, {extent(singles['n'])} test examples; {_over(singles)}."
    header = ["ECE ↓", "Rejected", "Brier ↓", "Miscalibration ↓", "Discrimination ↑", "Sharpness", "RPS ↓"]
    lines = {str(variant): line(str(variant)) for variant in means.index}
    return [studio.table(caption, header, lines), Details("How to read these columns", [Text(notes)])]


def _over(singles: pd.DataFrame) -> str:
    seeds = singles.groupby("variant", observed=True).size()
    return f"mean over {extent(seeds)} seeds, each model by itself" if seeds.max() > 1 else "one seed"


def _reliability(study: Study, group: Group, studio: Studio, shown: Sequence[str]) -> list[Block]:
    points = group.within(study.reliability)
    points = points[points["variant"].isin(shown)]
    if points.empty:
        return []
    rates = points.groupby("threshold", observed=True)["observed"].mean()
    edges = [boundary(group, grade) for grade in group.grades[:-1]]
    middle = min((edge for edge in edges if edge in rates), key=lambda edge: abs(rates[edge] - 0.5), default="")
    pictures = []
    for threshold in (name for name in (MOST_PROBABLE, middle) if name in rates):
        curves = points[points["threshold"] == threshold]
        gaps = (curves["observed"] - curves["predicted"]).abs().groupby(curves["variant"], observed=True).max()
        words = "; ".join(f"{variant} {number(gap)}" for variant, gap in gaps.items())
        name = f"reliability-{group.stage}-{group.task}-{'edge' if threshold == middle else 'grade'}"
        drawn = probability_figures.reliability(curves, threshold, studio.looks, study.reference)
        pictures.append(studio.picture(name, drawn, f"Reliability of {threshold}. Largest gap of a bin: {words}"))
    caption = (
        "Reliability: how often what is predicted comes true, in bins of equal numbers of examples, mean over models. "
        f"Band: where 95 % of the points of one calibrated model with the probabilities of {study.reference} lie, bin "
        "by bin. Shown are the most probable grade and the boundary nearest to half of the examples, for the "
        "reference, the subject and the variant of the least RPS."
    )
    return [Gallery(caption, pictures)]


def _sets(study: Study, group: Group, studio: Studio) -> list[Block]:
    frame = group.within(study.sets)
    if frame.empty:
        return []
    whole = frame[frame["by"] == ""].set_index(["variant", "method"])
    grades = frame[(frame["by"] == "grade") & (frame["method"] == "interval")].dropna(subset="coverage")

    def line(variant: str) -> list[Entry]:
        entries = []
        for method in _METHODS:
            row = whole.loc[(variant, method)]
            entries.append(Entry(f"{row['coverage']:.0%}", f"{row['size']:.2f} grades, {row['singles']:.0%} single"))
        own = grades[grades["variant"] == variant]
        least = own.loc[own["coverage"].idxmin()]
        return [*entries, Entry(f"{least['coverage']:.0%}", f"of {least['value']}")]

    variants = [str(variant) for variant in frame["variant"].unique()]
    highest = np.array([len(group.grades) - 1])
    (words,) = GradeSets(highest - 1, highest, LEVEL).texts(group.grades)
    drawn_like = extent(frame["calibration"].round().astype(int))
    caption = (
        f"Conformal grade sets, such as “{words}”: how often they hold the true grade, mean size, share of single "
        "grades; mean over models."
    )
    notes = (
        f"Neighbouring grades that hold the true one in {100 * LEVEL:g} % of new examples or more, however wrong the "
        f"probabilities. That is promised of examples drawn like the {drawn_like} that set them, {CALIBRATED_ON}: this "
        "choice, other kinds of examples, and patients with several weaken it. Nothing is promised within a grade: the "
        "last column has the one that the shortest intervals cover least."
    )
    header = [*_METHODS.values(), "Least covered grade"]
    table = studio.table(caption, header, {variant: line(variant) for variant in variants})
    return [table, Text(notes, note=True)]


def _ensembles(study: Study, group: Group, studio: Studio, models: pd.DataFrame, means: pd.DataFrame) -> list[Block]:
    ensembles = models[models["model"] == ENSEMBLE].set_index("variant")
    if ensembles.empty:
        return []
    split = group.within(study.uncertainty)
    split = split[split["by"] == "ordinal"].set_index(["variant", "quantity"])["value"]

    def line(variant: str) -> list[Entry]:
        row, mean = ensembles.loc[variant], means.loc[variant]
        entries = [Entry(number(row[key]), f"single {number(mean[key])}") for key in _OF_ENSEMBLES]
        total, apart = split[variant, "total"], split[variant, "epistemic"]
        return [*entries, Entry(f"{apart / total:.0%}" if total else MISSING), Entry(str(row["rule"]))]

    caption = (
        "Seed ensembles: the mean of the probabilities of a variant’s seeds, decided by the rule named; beside it the "
        "mean of single models. One ensemble a variant, so no interval. Disagreement: the share of the ensemble’s "
        "uncertainty Σ C(1 − C) that its models do not have by themselves (epistemic)."
    )
    lines = {str(variant): line(str(variant)) for variant in ensembles.index}
    return [studio.table(caption, [*_OF_ENSEMBLES.values(), "Disagreement", "Decides by"], lines)]


def _risk(study: Study, group: Group, studio: Studio, shown: Sequence[str]) -> Gallery:
    frame = group.within(study.uncertainty)
    frame = frame[(frame["by"] == "ordinal") & frame["variant"].isin(shown)]
    areas = frame[frame["quantity"] == "mae area"].set_index("variant")["value"]
    drawn = probability_figures.risk(frame[frame["quantity"] == "mae"], studio.looks)
    words = "; ".join(f"{variant} {number(area)}" for variant, area in areas.items())
    caption = (
        "MAE of the test examples that are surest by Σ C(1 − C), mean over models: the more a curve rises, the better "
        f"uncertainty tells where errors are. Area below it (AURC): {words}."
    )
    name = f"risk-{group.stage}-{group.task}"
    return Gallery(caption, [studio.picture(name, drawn, f"Area under the risk–coverage curve: {words}")])
