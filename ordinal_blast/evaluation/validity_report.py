"""The report of `validity`: tables of how often verdicts err and intervals cover, and where they fall short."""

from __future__ import annotations

import csv
import dataclasses
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ordinal_blast.evaluation.simulation import VARIATIONS, Scenario

LEVEL = 0.05
ERRORS, FAMILY_ERROR, COVERAGE = (0.02, 0.07), 0.07, 0.93  # what is called good
ROUNDING = 1e-9
Tally = dict[str, dict[str, float]]  # by measure and question
NAMES = {"qwk": "QWK", "mae": "MAE", "accuracy": "Accuracy", "auc": "AUC", "qwk and mae": "QWK and MAE"}
COMMAND = "python -m ordinal_blast.evaluation.validity --out reports/validity"
STUDIES = 1000  # of a kind

INTRODUCTION = """# Do the verdicts hold?

{studies:,} studies of each of {kinds} kinds, drawn from a model whose truth is known: five variants that are equal in
the population and differ from example to example and from seed to seed, and a sixth that is better. A verdict errs
where it says that two equal variants differ; an interval covers where it holds the true value. Nominal: error .05,
coverage .95.
The Monte Carlo error of a share of .05 is {error}.

Made by `{command}`.

**Seeds.** Low, middle and high variance: Fisher's z of the correlation of a score with the truth varies over seeds by
{spreads} of its standard error from the test examples, and a seed owns {owned} of the variance of the error of an
example. Of the variance of a difference between two variants with one seed, the seeds' share is then {shares} (QWK).
**Patients.** Of 1 to 6 examples, which share half of the variance of truth and error. **Cases** of the AUC: the best
fifth of the examples, unless said otherwise.
"""


@dataclasses.dataclass(frozen=True)
class Row:
    """One measure in one kind of study, and how often what is asked of it goes wrong."""

    scenario: Scenario
    measure: str
    rates: Mapping[str, float]
    grid: bool

    @property
    def where(self) -> str:
        """The kind of study in words."""
        of = self.scenario
        units = f"{of.examples} examples" + (" of patients" if of.patients else "")
        cases = "" if of.cases == 0.2 else f", {of.cases:.0%} cases"
        return f"{units}, K = {of.grades}, {of.seeds} seeds, {of.variation} variance{cases}"


def write(out: Path, shares: Mapping[Scenario, Tally], grid: Collection[Scenario], studies: int, single: Tally) -> None:
    """`report.md` and `validity.csv` in the folder; single: of models that are trained once, by question and way."""
    rows = [
        Row(scenario, measure, rates, scenario in grid)
        for scenario, tally in shares.items()
        for measure, rates in tally.items()
    ]
    out.mkdir(parents=True, exist_ok=True)
    _write_csv(out / "validity.csv", rows, studies)
    (out / "report.md").write_text("\n".join(_sections(rows, studies, single)), encoding="utf-8")


def _write_csv(path: Path, rows: Sequence[Row], studies: int) -> None:
    fields = [field.name for field in dataclasses.fields(Scenario)]
    asked = list(dict.fromkeys(question for row in rows for question in row.rates))
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([*fields, "measure", "studies", *asked])
        for row in rows:
            rates = ["" if question not in row.rates else f"{row.rates[question]:.6g}" for question in asked]
            table.writerow([*dataclasses.astuple(row.scenario), row.measure, studies, *rates])


def _sections(rows: Sequence[Row], studies: int, single: Tally) -> Iterable[str]:
    grid = [row for row in rows if row.grid]
    error = math.sqrt(LEVEL * (1 - LEVEL) / studies)
    levels = ("low", "middle", "high")
    yield INTRODUCTION.format(
        studies=studies,
        kinds=len({row.scenario for row in rows}),
        error=_number(error),
        command=COMMAND if studies == STUDIES else f"{COMMAND} --studies {studies}",
        spreads=_listed(f"{VARIATIONS[level].others:g}" for level in levels),
        owned=_listed(f"{VARIATIONS[level].seed:g}" for level in levels),
        shares=_listed(f"{_share(grid, level):.2f}" for level in levels),
    )
    yield "## In short\n"
    yield _summary(grid, "difference", "Error of one verdict", ".02 to .07", _errs_as_said)
    yield _summary(grid, "family", "Error of a family of four or eight verdicts", ".07 at most", _family_errs_as_said)
    yield _summary(grid, "true difference", "Coverage of a true difference", ".93 at least", _covers)
    yield _summary(grid, "own value", "Coverage of a variant's own value", ".93 at least", _covers)
    yield _short(rows, error)
    yield "## The grid\n\nThe least and the most over 100 and 400 examples, with and without patients, K = 3 and 5.\n"
    yield _by_seeds(grid, "difference", "Error of one verdict on two equal variants (nominal .05)", False)
    yield _by_seeds(grid, "family", "Some verdict of four errs (nominal .05 for all at once)", False)
    yield _by_seeds(grid, "true difference", "Coverage of the interval of a true difference (nominal .95)", True)
    yield _by_seeds(grid, "own value", "Coverage of the interval of a variant's own value (nominal .95)", True)
    yield _beyond([row for row in rows if not row.grid])
    yield _before(rows, single)


def _errs_as_said(rate: float) -> bool:
    return ERRORS[0] - ROUNDING <= rate <= ERRORS[1] + ROUNDING


def _family_errs_as_said(rate: float) -> bool:
    return rate <= FAMILY_ERROR + ROUNDING


def _covers(rate: float) -> bool:
    return 1 - rate >= COVERAGE - ROUNDING


def _share(rows: Iterable[Row], variation: str) -> float:
    """The seeds' share of the variance of a difference in QWK with one seed."""
    parts = [
        (row.rates["variance over seeds"], row.rates["variance over examples"])
        for row in rows
        if row.measure == "qwk" and row.scenario.variation == variation
    ]
    return float(np.mean([seeds / (seeds + examples) for seeds, examples in parts]))


def _summary(rows: Iterable[Row], question: str, title: str, bounds: str, good: Callable[[float], bool]) -> str:
    rates = np.sort([row.rates[question] for row in rows if question in row.rates])
    shown = 1 - rates[::-1] if "Coverage" in title else rates
    bad = sum(not good(rate) for rate in rates)
    middle = _number(float(np.median(shown)))
    spread = f"{_number(shown[0])} to {_number(shown[-1])}, median {middle}"
    return f"- {title}: {spread}, over {len(rates)} pairs of a kind and a measure; {bad or 'none'} outside {bounds}."


def _short(rows: Sequence[Row], error: float) -> str:
    """Every kind of study where a verdict errs more than is called good, or an interval covers less."""
    short = [
        f"| {NAMES[row.measure]} | {row.where} | {title} | {_number(1 - rate if 'overage' in title else rate)} "
        f"| {'yes' if rate > most + 2 * error else 'no'} |"
        for row in rows
        for question, title, most in (
            ("difference", "error", ERRORS[1]),
            ("family", "error of a family", FAMILY_ERROR),
            ("true difference", "coverage of a true difference", 1 - COVERAGE),
            ("own value", "coverage of the own value", 1 - COVERAGE),
        )
        if (rate := row.rates.get(question, 0.0)) > most + ROUNDING
    ]
    text = "\n## Where they fall short\n\n"
    if short:
        text += "Error above .07 or coverage below .93, here and beyond the grid.\n\n"
        text += (
            "| measure | kind of study | what | share | by more than two Monte Carlo errors |\n|---|---|---|---|---|\n"
        )
        text += "\n".join(short) + "\n"
    else:
        text += "Nowhere does a verdict err in more than .07 of the studies or an interval cover less than .93.\n"
    cautious: dict[str, list[Row]] = {}
    for row in rows:
        if row.rates.get("difference", LEVEL) < ERRORS[0] - ROUNDING:
            cautious.setdefault(NAMES[row.measure], []).append(row)
    where = _listed(
        f"{name} in {len(of)} {'kinds' if len(of) > 1 else 'kind'} of "
        f"{max(row.scenario.examples for row in of)} examples at most"
        for name, of in cautious.items()
    )
    return f"{text}\nOn the safe side, with an error below .02: {where or 'none'}.\n"


def _by_seeds(rows: Iterable[Row], question: str, title: str, coverage: bool) -> str:
    rows = [row for row in rows if question in row.rates]
    lines = [
        f"### {title}\n",
        "| measure | variance over seeds | 3 seeds | 5 seeds | 10 seeds |",
        "|---|---|---|---|---|",
    ]
    for measure in dict.fromkeys(row.measure for row in rows):
        for variation in ("low", "middle", "high"):
            cells = []
            for seeds in (3, 5, 10):
                of = [
                    row.rates[question]
                    for row in rows
                    if (row.measure, row.scenario.variation, row.scenario.seeds) == (measure, variation, seeds)
                ]
                cells.append(_range(1 - rate if coverage else rate for rate in of))
            lines.append(f"| {NAMES[measure]} | {variation} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _beyond(rows: Iterable[Row]) -> str:
    lines = [
        "## Beyond the grid\n",
        "Few examples, few cases, and a reference whose seeds vary as in “high” among variants whose seeds vary as in "
        "“low”. The least and the most over the four measures.\n",
        "| kind of study | error | error of a family | coverage of a true difference | of the own value |",
        "|---|---|---|---|---|",
    ]
    kinds: dict[str, list[Row]] = {}
    for row in rows:
        if "difference" in row.rates:
            kinds.setdefault(row.where, []).append(row)
    for where, of in kinds.items():
        cells = [_range(row.rates[question] for row in of) for question in ("difference", "family")]
        cells += [_range(1 - row.rates[question] for row in of) for question in ("true difference", "own value")]
        lines.append(f"| {where} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _before(rows: Sequence[Row], single: Tally) -> str:
    """What other ways say of the same studies, side by side with the verdicts."""
    by_place = {(row.scenario, row.measure): row.rates for row in rows}

    def rates(measure: str, seeds: int, variation: str, examples: int = 400) -> Mapping[str, float]:
        return by_place[Scenario(examples, seeds, variation, False, 3), measure]

    lines = [
        "## Side by side\n",
        "The same studies (independent examples, K = 3), asked otherwise. Two equal variants, or five.\n",
        "| what is asked | kind of study | way | errs | here |",
        "|---|---|---|---|---|",
    ]

    def line(asked: str, kind: str, way: str, there: float, here: float | str) -> None:
        shown = here if isinstance(here, str) else _number(here)
        lines.append(f"| {asked} | {kind} | {way} | {_number(there)} | {shown} |")

    for variation in ("low", "middle", "high"):
        for seeds in (5, 10):
            of = rates("qwk", seeds, variation)
            kind = f"QWK, 400 examples, {seeds} seeds, {variation} variance"
            line("do two differ?", kind, "t over seeds alone", of["seeds alone"], of["difference"])
            line("do two differ?", kind, "examples alone, models fixed", of["examples alone"], of["difference"])
    for seeds, variation in ((5, "middle"), (5, "high")):
        of = rates("qwk", seeds, variation)
        kind = f"QWK, 400 examples, {seeds} seeds, {variation} variance"
        line(
            "does one of five differ?",
            kind,
            "t over seeds, not adjusted",
            of["some difference, seeds alone"],
            of["family"],
        )
        line("does one of five differ?", kind, "seeds and examples, not adjusted", of["some difference"], of["family"])
    for seeds in (5, 10):
        of = rates("auc", seeds, "high")
        kind = f"AUC, 400 examples, {seeds} seeds, high variance"
        line("do two differ?", kind, "DeLong’s test of scores averaged over seeds", of["ensembles"], of["difference"])
    of = rates("qwk", 3, "high")
    kind = "QWK, 400 examples, 3 seeds, high variance"
    way = "Satterthwaite’s degrees of freedom"
    line("do two differ?", kind, way, of["difference, Satterthwaite"], of["difference"])
    line("does one of five differ?", kind, f"{way}, Bonferroni", of["family, Satterthwaite"], of["family"])
    of = rates("qwk", 5, "unequal")
    line(
        "do two differ?",
        "QWK, 400 examples, 5 seeds, unequal variance",
        "variance over seeds of all variants together",
        of["difference, pooled"],
        of["difference"],
    )
    of = rates("auc", 5, "middle", 100)
    line(
        "what is its own value?",
        "AUC, 100 examples, 5 seeds, middle variance",
        "symmetric interval",
        of["own value, Satterthwaite"],
        of["own value"],
    )
    for asked, ways in single.items():
        kind, question = asked.split(": ")
        (way, there), (_, here) = ways.items()
        line(question, kind, way, there, here if not math.isnan(here) else "no interval")
    return "\n".join(lines) + "\n"


def _range(rates: Iterable[float]) -> str:
    ordered = sorted(rates)
    return f"{_number(ordered[0])} to {_number(ordered[-1])}"


def _listed(words: Iterable[str]) -> str:
    *most, last = list(words) or [""]
    return f"{', '.join(most)} and {last}" if most else last


def _number(value: float) -> str:
    """Three decimals, without the zero before the point."""
    return f"{value:.3f}".replace("0.", ".", 1) if value < 1 else f"{value:.3f}"
