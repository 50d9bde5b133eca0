"""How often the verdicts of a report err and how often intervals cover, measured on studies whose truth is known.

`python -m ordinal_blast.evaluation.validity --out reports/validity` draws STUDIES studies of every kind in SCENARIOS
(see `simulation`), asks of them what a report asks and what is asked without it, and writes the shares that err. What
is done is kept in --work, so that it goes on where it was stopped. A value enters less its truth: a test errs where it
says that it is not 0, and just there its interval does not cover.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ordinal_blast.evaluation import jackknife, multireader, roc, simultaneous, single_models, validity_report
from ordinal_blast.evaluation.multireader import Comparison, Contrast
from ordinal_blast.evaluation.simulation import BETTER_ONE, Drawn, Scenario, draw, truths
from ordinal_blast.evaluation.validity_report import LEVEL, STUDIES, Tally

CHUNK = 100  # studies that are kept at a time
EQUALS = range(1, BETTER_ONE)  # that are as good as variant 0
FAMILY = ("qwk", "mae")  # measures that are looked at together
GRID = tuple(
    Scenario(examples, seeds, variation, patients, grades)
    for grades, patients, examples, variation, seeds in itertools.product(
        (3, 5), (False, True), (100, 400), ("low", "middle", "high"), (3, 5, 10)
    )
)
BEYOND = (
    *(Scenario(n, seeds, "unequal", False, 3) for n in (100, 400) for seeds in (3, 5, 10)),
    *(Scenario(400, 2, v, False, 3) for v in ("low", "middle", "high")),
    *(Scenario(n, 5, v, patients, 3) for n in (30, 50, 200) for v in ("low", "middle") for patients in (False, True)),
    *(Scenario(100, 5, v, False, 3, cases) for cases in (0.05, 0.1) for v in ("low", "middle")),
)
SCENARIOS = GRID + BEYOND


def of_measure(
    name: str, one: Comparison, truth: np.ndarray, bounds: tuple[float, float]
) -> Iterator[tuple[str, float | np.floating]]:
    """Of one measure of one study, by question, the share of answers that are wrong."""
    less = dataclasses.replace(one, values=one.values - truth[:, None])
    equals = [less.difference(v, 0) for v in EQUALS]
    seeds_alone = [_published(less.difference(v, 0, "seeds")) for v in EQUALS]
    yield "difference", np.mean([_cautious(contrast) for contrast in equals])
    yield "family", _family([one], equals)
    yield "true difference", _cautious(less.difference(BETTER_ONE, 0))
    yield "own value", np.mean([_outside(one.mean(v), truth[v], bounds) for v in (0, 1)])
    yield "no test", np.mean([bool(contrast.degenerate) for contrast in equals])
    yield "difference, Satterthwaite", np.mean([_published(contrast) for contrast in equals])
    yield "family, Satterthwaite", any(contrast.p_value < LEVEL / len(equals) for contrast in equals)
    yield "difference, pooled", _published(less.difference(1, 0, pooled=True))
    yield "true difference, Satterthwaite", _published(less.difference(BETTER_ONE, 0))
    yield "own value, Satterthwaite", np.mean([_published(less.mean(v)) for v in (0, 1)])
    yield "own value, no bounds", np.mean([_cautious(less.mean(v)) for v in (0, 1)])
    yield "seeds alone", np.mean(seeds_alone)
    yield "examples alone", _published(less.difference(1, 0, "examples"))
    yield "some difference", any(_published(contrast) for contrast in equals)
    yield "some difference, seeds alone", any(seeds_alone)
    between = float((one.values[0] - one.values[1]).var(ddof=1))
    shared = sum(part for part, _ in equals[0].parts[1:])
    yield "variance over seeds", between
    yield "variance over examples", shared


def _published(contrast: Contrast) -> bool:
    return bool(contrast.p_value < LEVEL)


def _cautious(contrast: Contrast, level: float = LEVEL) -> bool:
    low, high = simultaneous.interval(contrast, confidence=1 - level)
    return low > 0 or high < 0


def _outside(contrast: Contrast, truth: float, bounds: tuple[float, float]) -> bool:
    low, high = simultaneous.interval(contrast, confidence=1 - LEVEL, bounds=bounds)
    return low > truth or high < truth


def _family(comparisons: Sequence[Comparison], contrasts: Sequence[Contrast]) -> bool:
    """Whether one of the equal variants is said to differ; adjusted where Bonferroni's bound leaves it open."""
    if not any(_cautious(contrast) for contrast in contrasts):
        return False
    if any(_cautious(contrast, LEVEL / len(contrasts)) for contrast in contrasts):
        return True
    equal = [
        dataclasses.replace(one, values=one.values[:BETTER_ONE], influence=np.asarray(one.influence)[:BETTER_ONE])
        for one in comparisons
    ]
    adjusted = simultaneous.family(contrasts, simultaneous.against(equal, 0), confidence=1 - LEVEL)
    return bool(np.nanmin(adjusted.p_values) < LEVEL)


def of_study(drawn: Drawn, truth: dict[str, np.ndarray], num_classes: int) -> Iterator[tuple[str, str, float]]:
    """Of one study, by measure and question, the share of answers that are wrong."""
    comparisons = {
        name: multireader.measure(name, drawn.labels, drawn.grades, num_classes=num_classes, cases=drawn.patients)
        for name in ("qwk", "mae", "accuracy")
    }
    comparisons["auc"] = multireader.auc(drawn.is_case, drawn.scores, drawn.patients)
    for name, one in comparisons.items():
        for question, share in of_measure(name, one, truth[name], jackknife.bounds(name, num_classes) or (0.0, 1.0)):
            yield name, question, float(share)
    a, b = drawn.scores[1].mean(axis=0), drawn.scores[0].mean(axis=0)
    yield "auc", "ensembles", float(roc.delong_test(drawn.is_case, a, b, clusters=drawn.patients).p_value < LEVEL)
    both = [comparisons[name] for name in FAMILY]
    equals = [one.difference(v, 0) for one in both for v in EQUALS]
    shifts = [truth[name][v] - truth[name][0] for name in FAMILY for v in EQUALS]
    less = [dataclasses.replace(c, estimate=c.estimate - s) for c, s in zip(equals, shifts, strict=True)]
    yield " and ".join(FAMILY), "family", float(_family(both, less))


def chunk(scenario: Scenario, number: int) -> Tally:
    """The sums over CHUNK studies of a kind, by measure and question; the same number draws the same studies."""
    rng = np.random.default_rng([zlib.crc32(repr(scenario).encode()), number])
    truth = truths(scenario)
    tally: Tally = {}
    for _ in range(CHUNK):
        for measure, question, share in of_study(draw(scenario, rng), truth, scenario.grades):
            of = tally.setdefault(measure, {})
            of[question] = of.get(question, 0.0) + share
    return tally


def simulate(work: Path, studies: int) -> dict[Scenario, Tally]:
    """The shares of all scenarios; every chunk is a line of `chunks.jsonl` in the folder, and is not done twice."""
    work.mkdir(parents=True, exist_ok=True)
    log = work / "chunks.jsonl"
    lines = log.read_text().splitlines(keepends=True) if log.exists() else []
    whole = [json.loads(line) for line in lines if line.endswith("\n")]  # one that was cut off is done again
    done = {(Scenario(**row["scenario"]), row["number"]): row["tally"] for row in whole}
    log.write_text("".join(line for line in lines if line.endswith("\n")))
    wanted = [(scenario, number) for number in range(-(-studies // CHUNK)) for scenario in SCENARIOS]
    for place, (scenario, number) in enumerate(wanted, 1):
        if (scenario, number) in done:
            continue
        done[scenario, number] = chunk(scenario, number)
        row = {"scenario": dataclasses.asdict(scenario), "number": number, "tally": done[scenario, number]}
        with log.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(f"{place} of {len(wanted)}: {scenario}", file=sys.stderr, flush=True)
    return {
        scenario: _together([done[scenario, number] for of, number in wanted if of == scenario])
        for scenario in SCENARIOS
    }


def _together(tallies: Sequence[Tally]) -> Tally:
    """Means over the studies of several chunks."""
    return {
        measure: {q: sum(tally[measure][q] for tally in tallies) / (CHUNK * len(tallies)) for q in of}
        for measure, of in tallies[0].items()
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m ordinal_blast.evaluation.validity", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the report, such as reports/validity")
    parser.add_argument("--work", type=Path, default=Path("runs/validity"), help="what is done (%(default)s)")
    parser.add_argument("--studies", type=int, default=STUDIES, help="of a kind, in hundreds (%(default)s)")
    options = parser.parse_args(arguments)
    shares = simulate(options.work, options.studies)
    studies = -(-options.studies // CHUNK) * CHUNK
    validity_report.write(options.out, shares, GRID, studies, single_models.measure(studies))


if __name__ == "__main__":
    main()
