"""Many data sets or hold-outs as one chapter: mean ranks, and tests over the grid of scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ordinal_blast.evaluation import significance
from ordinal_blast.evaluation.multiplicity import holm
from ordinal_blast.report import figures, pairing
from ordinal_blast.report.blocks import Block, Entry, Gallery, Line, Part, Section, Table, Text
from ordinal_blast.report.compare import Study
from ordinal_blast.report.formats import count, extent, interval, listed, number, p_value, quoted
from ordinal_blast.report.measures import PRIMARY, Measure, primary, tested_share
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.rankings import same_examples
from ordinal_blast.report.results import Group

LEVEL = 0.05


@dataclasses.dataclass(frozen=True)
class Grid:
    """Scores float64 `[B, M]` per measure: a row per block, a column per variant that finished in every block.

    A block is one hold-out, or one data set whose seeds share their test examples, averaged over the seeds; of seeds,
    those that all these variants finished. `groups` are the data sets, the whole system on each task;
    `reference` is among the variants. `left_out` says which variants and measures are missing, and why.
    """

    groups: tuple[Group, ...]
    variants: tuple[str, ...]
    reference: str
    blocks: int
    scores: dict[Measure, np.ndarray]
    left_out: str

    @property
    def rivals(self) -> tuple[str, ...]:
        """The variants other than the reference."""
        return tuple(variant for variant in self.variants if variant != self.reference)

    @property
    def holdouts(self) -> list[Group]:
        """The data sets that were split anew for every seed."""
        return [group for group in self.groups if not same_examples(group)]


def gather(studies: Sequence[Study]) -> Grid | None:
    """The grid of several studies, or of one with hold-outs; None below two blocks or three variants."""
    groups = [group for study in studies for group in study.groups() if group.stage == study.stages[-1]]
    reference = studies[0].reference
    variants = [v for v in studies[0].variants if all(v in group.variants for group in groups)]
    if not groups or reference not in variants or len(variants) < 3:
        return None
    if len(studies) == 1 and same_examples(groups[0]):
        return None
    if not all(pairing.common(group.seeds, *variants) for group in groups):
        return None
    shared = [m for m in primary(groups[0]) if all(m in primary(group) for group in groups)]
    tables = {m: np.concatenate([_blocks(group, m, variants) for group in groups]) for m in shared}
    scores = {measure: table for measure, table in tables.items() if np.isfinite(table).all() and len(table) > 1}
    if not scores:
        return None
    everyone = dict.fromkeys(v for group in groups for v in group.variants)
    absent = [quoted(v) for v in everyone if v not in variants]
    undefined = [measure.label for measure in PRIMARY if measure not in scores]
    left_out = f" Left out, not finished on every data set: {listed(absent)}." if absent else ""
    left_out += f" Left out, undefined somewhere: {listed(undefined)}." if undefined else ""
    blocks = len(next(iter(scores.values())))
    return Grid(tuple(groups), tuple(variants), reference, blocks, scores, left_out)


def _blocks(group: Group, measure: Measure, variants: Sequence[str]) -> np.ndarray:
    """Scores `[B, M]` of one data set: a row per hold-out that every variant finished, or one row over all seeds."""
    table = group.rows.pivot(index="seed", columns="variant", values=measure.key)[list(variants)]
    table = table.loc[list(pairing.common(group.seeds, *variants))]
    return table.mean(skipna=False).to_numpy()[None] if same_examples(group) else table.to_numpy()


def sections(grid: Grid, studio: Studio) -> list[Section]:
    """Ranks with their diagrams, then every variant against the reference."""
    return [
        Section(studio.anchor("ranks"), "Ranks", _ranks(grid, studio)),
        Section(studio.anchor("reference"), f"Against {grid.reference}", _against(grid, studio)),
    ]


def facts(grid: Grid) -> list[tuple[str, str]]:
    """What a reader wants to know first, as (name, value)."""
    return [
        ("Variants", str(len(grid.variants))),
        ("Data sets", str(len(grid.groups))),
        ("Blocks", str(grid.blocks)),
    ]


def _independence(grid: Grid) -> str:
    """What the blocks are, how independent, and what is left out."""
    opening = f"All variants are ranked in each of {count(grid.blocks, 'block')}"
    used = [len(pairing.common(group.seeds, *grid.variants)) for group in grid.groups]
    planned = [group.planned for group in grid.groups]
    short = "" if used == planned else f" Seeds that all finished: {extent(used)} of {extent(planned)} planned."
    if not grid.holdouts:
        return f"{opening}: a data set, its scores averaged over seeds.{short}{grid.left_out}"
    splits = grid.blocks - len(grid.groups) + len(grid.holdouts)
    return (
        f"{opening}; {splits} of them are hold-outs of {count(len(grid.holdouts), 'data set')}. Hold-outs of one data "
        "set share most of their training examples and are not independent, as the tests over blocks assume: their p "
        f"values are too small, and they speak of these data sets, not of others.{short}{grid.left_out}"
    )


def _ranks(grid: Grid, studio: Studio) -> list[Block]:
    higher = {measure: measure.higher for measure in grid.scores}
    friedman = {m: significance.friedman(s, higher_is_better=higher[m]) for m, s in grid.scores.items()}
    nemenyi = {m: significance.nemenyi(s, higher_is_better=higher[m], alpha=LEVEL) for m, s in grid.scores.items()}
    ranks = {m: dict(zip(grid.variants, test.mean_ranks, strict=True)) for m, test in friedman.items()}
    lines = {
        variant: [Entry(number(rank[variant], 2), best=rank[variant] == min(rank.values())) for rank in ranks.values()]
        for variant in grid.variants
    }
    permuted = any(test.p_from == "permutations" for test in friedman.values())
    tests = Table(
        "Friedman’s test that all variants rank alike, by the F of Iman and Davenport"
        f"{', its p from permutations within blocks where F is too sure' if permuted else ''}; Nemenyi’s critical "
        f"difference of mean ranks at {LEVEL:.0%}.",
        ["Measure", "χ²", "F", "Degrees of freedom", "p", "Critical difference"],
        [
            Line(
                measure.label,
                [
                    Entry(number(f.chi_squared, 1)),
                    Entry(number(f.f, 1)),
                    Entry(f"{f.df[0]}, {f.df[1]}"),
                    Entry(p_value(f.p_value)),
                    Entry(number(nemenyi[measure].critical_difference, 2)),
                ],
            )
            for measure, f in friedman.items()
        ],
    )
    pictures = [
        studio.picture(
            f"ranks-{measure.key}",
            figures.critical_difference(ranks[measure], test.critical_difference, studio.looks, measure.label),
            f"Mean ranks by {measure.label}, critical difference {number(test.critical_difference, 2)}: "
            + "; ".join(f"{variant} {number(rank, 2)}" for variant, rank in ranks[measure].items()),
        )
        for measure, test in nemenyi.items()
    ]
    first = next(iter(grid.scores))
    caption = f"Mean rank over {count(grid.blocks, 'block')}, 1 the best; bold: best of its column."
    return [
        Text(_independence(grid)),
        studio.table(caption, [measure.label for measure in grid.scores], lines),
        tests,
        Gallery(
            "Critical-difference diagrams (Demšar 2006): best rank left; a bar joins variants whose mean ranks differ "
            "by less than the critical difference. Look at them only where Friedman’s test rejects.",
            pictures,
            "wide",
        ),
        Text(f"Friedman: {friedman[first].assumes}", note=True),
        Text(f"Nemenyi: {nemenyi[first].assumes}", note=True),
    ]


def _against(grid: Grid, studio: Studio) -> list[Block]:
    def test(scores: np.ndarray, rival: str) -> significance.PairwiseTest:
        columns = [grid.variants.index(variant) for variant in (rival, grid.reference)]
        return significance.wilcoxon_holm(scores[:, columns], [rival, grid.reference])[0]

    tests = {measure: [test(scores, rival) for rival in grid.rivals] for measure, scores in grid.scores.items()}
    adjusted = {measure: holm([pair.p_value for pair in pairs]) for measure, pairs in tests.items()}
    stressed = not grid.holdouts  # dependent blocks make p too small to stress

    def entry(measure: Measure, row: int) -> Entry:
        difference, p = tests[measure][row].median_difference, adjusted[measure][row]
        return Entry(number(difference, sign=True), f"p {p_value(p)}", p < LEVEL and stressed)

    wilcoxon = studio.table(
        f"Wilcoxon’s signed-rank test over {count(grid.blocks, 'block')}: median of variant minus {grid.reference}, "
        f"and p after Holm over the {len(grid.rivals)} variants of a column{f', bold below {LEVEL}' * stressed}.",
        [measure.heading for measure in grid.scores],
        {rival: [entry(measure, row) for measure in grid.scores] for row, rival in enumerate(grid.rivals)},
    )
    assumes = next(iter(tests.values()))[0].assumes
    blocks: list[Block] = [wilcoxon, Text(f"Wilcoxon: {assumes} {_independence(grid)}", note=True)]
    return blocks + [_corrected(grid, group, studio) for group in grid.holdouts]


def _corrected(grid: Grid, group: Group, studio: Studio) -> Part:
    """The corrected t of every variant against the reference over the hold-outs of one data set."""
    train, test = tested_share(group)
    scores = {m: dict(zip(grid.variants, _blocks(group, m, grid.variants).T, strict=True)) for m in grid.scores}
    tests = {
        (m, rival): significance.corrected_t(of[rival], of[grid.reference], num_train=train, num_test=test)
        for m, of in scores.items()
        for rival in grid.rivals
    }
    adjusted = {
        m: dict(zip(grid.rivals, holm([tests[m, rival].p_value for rival in grid.rivals]), strict=True)) for m in scores
    }

    def entry(measure: Measure, rival: str) -> Entry:
        one, p = tests[measure, rival], adjusted[measure][rival]
        detail = one.degenerate or f"{interval(*one.ci)} p {p_value(p)}"
        return Entry(number(one.mean, sign=True), detail, p < LEVEL)

    name, any_test = group.cells[0].record.dataset["name"], next(iter(tests.values()))
    table = studio.table(
        f"{name}, {count(any_test.n, 'hold-out')}: mean of variant minus {grid.reference}, 95 % "
        f"interval and p of the t test that Nadeau and Bengio corrected for overlapping training sets ({train:,} rows "
        f"for training and validation, {test:,} for the test), Holm over the variants of a column, bold below {LEVEL}.",
        [measure.heading for measure in grid.scores],
        {rival: [entry(measure, rival) for measure in grid.scores] for rival in grid.rivals},
    )
    return Part(f"Hold-outs of {name}", [table, Text(f"Corrected t: {any_test.assumes}", note=True)])
