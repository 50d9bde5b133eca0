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
    best = {m: found.mean_ranks.min() for m, found in friedman.items()}
    ranks = Table(
        f"Mean rank over {count(grid.blocks, 'block')}, 1 the best; bold: best of its column.",
        ["Variant", *(measure.label for measure in grid.scores)],
        [
            Line(
                variant,
                [Entry(number(f.mean_ranks[i], 2), best=f.mean_ranks[i] == best[m]) for m, f in friedman.items()],
                studio.mark(variant),
            )
            for i, variant in enumerate(grid.variants)
        ],
    )
    permuted = any(found.p_from == "permutations" for found in friedman.values())
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
            figures.critical_difference(
                dict(zip(grid.variants, found.mean_ranks, strict=True)),
                found.critical_difference,
                studio.looks,
                measure.label,
            ),
            f"Mean ranks by {measure.label}, critical difference {number(found.critical_difference, 2)}: "
            + "; ".join(f"{v} {number(r, 2)}" for v, r in zip(grid.variants, found.mean_ranks, strict=True)),
        )
        for measure, found in nemenyi.items()
    ]
    first = next(iter(grid.scores))
    return [
        Text(_independence(grid)),
        ranks,
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
    place = grid.variants.index(grid.reference)
    rivals = [i for i in range(len(grid.variants)) if i != place]
    pairs = {
        measure: [
            significance.wilcoxon_holm(scores[:, [i, place]], [grid.variants[i], grid.reference])[0] for i in rivals
        ]
        for measure, scores in grid.scores.items()
    }
    adjusted = {measure: holm([pair.p_value for pair in found]) for measure, found in pairs.items()}
    bold = "" if grid.holdouts else f", bold below {LEVEL}"  # dependent blocks make p too small to stress
    wilcoxon = Table(
        f"Wilcoxon’s signed-rank test over {count(grid.blocks, 'block')}: median of variant minus {grid.reference}, "
        f"and p after Holm over the {len(rivals)} variants of a column{bold}.",
        ["Variant", *(measure.heading for measure in grid.scores)],
        [
            Line(
                grid.variants[i],
                [
                    Entry(
                        number(pairs[m][row].median_difference, sign=True),
                        f"p {p_value(adjusted[m][row])}",
                        adjusted[m][row] < LEVEL and not grid.holdouts,
                    )
                    for m in grid.scores
                ],
                studio.mark(grid.variants[i]),
            )
            for row, i in enumerate(rivals)
        ],
    )
    assumes = next(iter(pairs.values()))[0].assumes
    blocks: list[Block] = [wilcoxon, Text(f"Wilcoxon: {assumes} {_independence(grid)}", note=True)]
    return blocks + [_corrected(grid, group, studio) for group in grid.holdouts]


def _corrected(grid: Grid, group: Group, studio: Studio) -> Part:
    """The corrected t of every variant against the reference over the hold-outs of one data set."""
    place = grid.variants.index(grid.reference)
    train, test = tested_share(group)
    tables = {measure: _blocks(group, measure, grid.variants) for measure in grid.scores}
    rivals = [i for i in range(len(grid.variants)) if i != place]
    found = {
        (measure, i): significance.corrected_t(table[:, i], table[:, place], num_train=train, num_test=test)
        for measure, table in tables.items()
        for i in rivals
    }
    adjusted = {m: dict(zip(rivals, holm([found[m, i].p_value for i in rivals]), strict=True)) for m in tables}

    def entry(measure: Measure, i: int) -> Entry:
        test, p = found[measure, i], adjusted[measure][i]
        detail = test.degenerate or f"{interval(*test.ci)} p {p_value(p)}"
        return Entry(number(test.mean, sign=True), detail, p < LEVEL)

    name = group.cells[0].record.dataset["name"]
    table = Table(
        f"{name}, {count(len(next(iter(tables.values()))), 'hold-out')}: mean of variant minus {grid.reference}, 95 % "
        f"interval and p of the t test that Nadeau and Bengio corrected for overlapping training sets ({train:,} rows "
        f"for training and validation, {test:,} for the test), Holm over the variants of a column, bold below {LEVEL}.",
        ["Variant", *(measure.heading for measure in tables)],
        [
            Line(grid.variants[i], [entry(measure, i) for measure in tables], studio.mark(grid.variants[i]))
            for i in rivals
        ],
    )
    note = f"Corrected t: {next(iter(found.values())).assumes}"
    return Part(f"Hold-outs of {name}", [table, Text(note, note=True)])
