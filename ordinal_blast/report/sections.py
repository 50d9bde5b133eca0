"""One study as the sections of a page: what is compared, the groups, what others add, training, provenance."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from ordinal_blast import parts, record
from ordinal_blast.report import (
    answer,
    comparison,
    figures,
    pairing,
    pick_blocks,
    probability_blocks,
    published,
    rank_blocks,
    step_blocks,
    stratum_blocks,
)
from ordinal_blast.report.blocks import Block, Bullets, Code, Details, Entry, Gallery, Line, Section, Table, Text
from ordinal_blast.report.caveats import caveats
from ordinal_blast.report.compare import Study
from ordinal_blast.report.examples import strip
from ordinal_blast.report.formats import MISSING, count, extent, listed, runs_of, seconds
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.results import Group

BLOCKS: tuple[Callable[[Study, Group, Studio], list[Block]], ...] = (
    comparison.scores,
    published.blocks,
    comparison.differences,
    rank_blocks.blocks,
    comparison.confusions,
    comparison.ranking,
    probability_blocks.blocks,
    pick_blocks.blocks,
    stratum_blocks.blocks,
)  # what is shown of one stage on one task, in this order: a block more is an entry more
T = TypeVar("T")
_PLUGINS = "ordinal_blast.report"  # the entry points of packages that add sections


def sections(study: Study, key: str, command: str) -> list[Section]:
    """All sections of one study; `key` starts its anchors and figure names.

    Installed packages add theirs by functions (study, studio) -> list[Section], the entry points of `_PLUGINS`: nothing
    that a run names is imported. Raises UsageError that names the one that fails.
    """
    studio = Studio(key, study)
    contents = [_answer(study, studio)]
    if study.cells:
        contents += [_group(study, group, studio) for group in study.groups()]
        contents += step_blocks.sections(study, studio)
        contents += plugged(_PLUGINS, study, studio)
        if frames := strip(study, studio):
            contents.append(Section(studio.anchor("examples"), "Examples", [frames]))
        contents.append(_training(study, studio))
    return [*contents, _provenance(study, studio, command)]


def plugged(group: str, *of: Any) -> list[Section]:
    """The sections that installed packages make of something by the entry points of a group; UsageError names one that
    fails.
    """
    contents: list[Section] = []
    for plugin in importlib.metadata.entry_points(group=group):
        with parts.blamed(f"the sections of {plugin.value} ({group}) cannot be made"):
            contents += plugin.load()(*of)
    return contents


def facts(study: Study) -> list[tuple[str, str]]:
    """What a reader wants to know first, as (name, value)."""
    plan = study.plan
    planned = len(plan["cells"])
    facts = [
        ("Variants", f"{len(study.variants)} of {len(plan['variants'])}"),
        ("Seeds", str(len(study.seeds))),
        ("Cells finished", f"{len(study.cells)} of {planned}"),
    ]
    if not study.cells:
        return facts
    tested = [n for group in study.groups() for n in group.rows["n"]]
    return [*facts, ("Test examples", extent(tested)), ("Dataset", study.cells[0].record.dataset["name"])]


def _group(study: Study, group: Group, studio: Studio) -> Section:
    """Everything about one stage on one task."""
    blocks = [block for of in BLOCKS for block in of(study, group, studio)]
    return Section(studio.anchor(f"{group.stage}-{group.task}"), group.title, blocks)


def _answer(study: Study, studio: Studio) -> Section:
    """The first screen: the answer, its figure and its table; then what qualifies it, and behind a summary how."""
    blocks: list[Block] = [answer.headline(study, studio), *answer.blocks(study, studio)]
    if study.apart:
        blocks.append(Text(f"Not in one table with {'; nor with '.join(study.apart)}."))
    if study.failed or study.missing:
        blocks.append(
            Text(
                f"Incomplete: {count(len(study.failed), 'cell')} failed and {len(study.missing)} "
                f"{'is' if len(study.missing) == 1 else 'are'} missing of {len(study.plan['cells'])} planned; "
                "they are listed at the end. All numbers rest on the cells that finished."
            )
        )
    if study.cells:
        if established := answer.findings(study, studio):
            blocks.append(Bullets(established))
        blocks.append(_variants(study, studio))
        blocks.append(Details("What these numbers cover", [Text(note, note=True) for note in caveats(study)]))
    return Section(studio.anchor("answer"), "Answer", blocks)


def _variants(study: Study, studio: Studio) -> Table:
    def line(variant: str) -> Line:
        cells = [cell for cell in study.cells if cell.variant == variant]
        objective = cells[0].record.objective
        options = ", ".join(f"{name} = {value}" for name, value in sorted(objective["options"].items())) or "defaults"
        texts = objective["name"], options, objective["decides_by"], runs_of([cell.seed for cell in cells])
        name = variant + (" (reference)" if variant == study.reference else "")
        return Line(name, [Entry(text) for text in texts], studio.mark(variant))

    return Table(
        "What is compared. Each variant keeps its colour and symbol on the whole page.",
        ["Variant", "Objective", "Options", "Decides by", "Finished seeds, by number"],
        [line(variant) for variant in study.variants],
    )


def _training(study: Study, studio: Studio) -> Section:
    runs: dict[str, dict[str, dict[int, Mapping[str, Any]]]] = {stage: {} for stage in reversed(study.stages)}
    for cell in study.cells:
        for stage, model in cell.record.models.items():
            if model.training["history"]:
                runs[stage].setdefault(cell.variant, {})[cell.seed] = model.training
    runs = {stage: _shown(study, stage, per_variant) for stage, per_variant in runs.items()}
    many = (
        comparison.FOREMOST if any(len(by) < len(study.variants) > figures.MOST_CURVES for by in runs.values()) else ""
    )
    common = pairing.common({v: [cell.seed for cell in study.cells if cell.variant == v] for v in study.variants})
    comparable = [
        studio.picture(
            f"validation-qwk-{stage}",
            figures.validation_qwk(shared, studio.looks, stage.upper()),
            f"Validation QWK per epoch of the {stage.upper()}, one line per variant.",
        )
        for stage, per_variant in runs.items()
        if _has_qwk(shared := {v: [by[seed] for seed in common if seed in by] for v, by in per_variant.items()})
    ]
    blocks: list[Block] = []
    if comparable:
        planned = len(study.plan["seeds"])
        over = "seeds" if len(common) == planned else f"the {len(common)} of {planned} planned seeds that all finished"
        blocks.append(
            Gallery(f"Validation QWK, mean over {over}: one scale for all variants.{many}", comparable, "wide")
        )
    for stage, per_variant in runs.items():
        pictures = [
            studio.picture(
                f"training-{stage}-{studio.number(variant)}",
                figures.training(list(by_seed.values()), studio.looks[variant]),
                f"Training and validation loss per epoch of the {stage.upper()} with {variant}.",
            )
            for variant, by_seed in per_variant.items()
        ]
        if max(map(len, per_variant.values()), default=0) > figures.MOST_LINES:
            lines = "mean over seeds; dashed training, solid validation with its range."
        else:
            lines = "one line per seed; dashed training, solid validation, the dot is the epoch that was tested."
        units = "Losses of different objectives are in different units: compare shapes only."
        blocks += [Gallery(f"{stage.upper()}: loss per epoch, {lines} {units}{many}", pictures)] if pictures else []
    return Section(studio.anchor("training"), "Training", blocks or [Text("No training history was stored.")])


def _shown(study: Study, stage: str, runs: dict[str, T]) -> dict[str, T]:
    """The runs of the variants that figures of training show."""
    shown = [
        variant
        for group in study.groups()
        if group.stage == stage
        for variant in comparison.foremost(study, group, figures.MOST_CURVES)
    ]
    return {variant: run for variant, run in runs.items() if not shown or variant in shown}


def _has_qwk(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> bool:
    """Whether every variant has a history, and every epoch of it a validation QWK."""
    lines = [line for of_variant in runs.values() for run in of_variant for line in run["history"]]
    return bool(runs) and all(runs.values()) and all(line.get("val_qwk") is not None for line in lines)


def _provenance(study: Study, studio: Studio, command: str) -> Section:
    blocks: list[Block] = [Text("This page was made by"), Code(command)]
    blocks += [Text("from the cells that were run by"), Code(study.plan["command"])]
    if study.cells:
        blocks += [_dataset(study), _software(study), *_time_by_stage(study), Details("Every cell", [_cells(study)])]
    if study.failed or study.missing:
        blocks.append(_unfinished(study))
        blocks += [
            Details(f"Error of {name}", [Code(error or "The error file is empty.")])
            for name, error in study.failed.items()
        ]
    else:
        blocks.append(Text("All planned cells finished."))
    return Section(studio.anchor("provenance"), "Provenance", blocks)


def _dataset(study: Study) -> Table:
    described = {}
    for cell in study.cells:  # hold-outs of one data set differ in their identity alone
        dataset = cell.record.dataset
        described[repr({**dataset, "identity": ""})] = dataset
    lines = []
    for dataset in described.values():
        sizes = ", ".join(f"{split} {size:,}" for split, size in dataset["sizes"].items())
        texts = {"Name": dataset["name"], "Content": dataset["summary"], "Split": f"{dataset['split']} ({sizes})"}
        texts |= {"Licence": dataset["licence"], "Citation": dataset["citation"]}
        lines += [Line(name, [Entry(text)]) for name, text in texts.items()]
    return Table("Dataset.", [], lines)


def _software(study: Study) -> Table:
    provenance = [cell.record.provenance for cell in study.cells]
    names = sorted({name for cell in provenance for name in cell["versions"]})

    def distinct(values: list[str]) -> Entry:
        return Entry("; ".join(sorted(set(values))))

    lines = [Line("devices and threads", [distinct([cell["device"] for cell in provenance])])]
    lines += [Line(name, [distinct([cell["versions"].get(name, "absent") for cell in provenance])]) for name in names]
    runs = [model.training for cell in study.cells for model in cell.record.models.values()]
    if wall := sum(run["seconds"] for run in runs if "shared_with" not in run):  # 0 of what was made elsewhere
        lines.append(Line("training time, all cells", [Entry(seconds(wall))]))
    held = [run["peak_mb"] for run in runs if "peak_mb" in run]
    if held:
        lines.append(Line("memory held at most", [Entry(f"{max(held) / 1000:.1f} GB")]))
    return Table("Devices, threads and versions; several values mean that cells differ.", [], lines)


def _time_by_stage(study: Study) -> list[Table]:
    """How long the stages of all cells took, each counted once; none where the records do not say."""
    took: dict[str, dict[str, float]] = {}
    for cell in study.cells:
        trained = {name: model.training for name, model in cell.record.models.items()}
        for name, facts in cell.record.stages.items():
            training = trained.get(name, {})
            if record.BUILT in facts and ("folder" in facts or "shared_with" not in training):
                # What was trained beside others was trained before it was built.
                longest = max(facts[record.BUILT], training.get("seconds", 0.0))
                took.setdefault(name, {})[facts.get("folder", cell.name)] = longest
    whole = sum(sum(builds.values()) for builds in took.values())
    lines = [
        Line(name, [Entry(f"{len(builds):,}"), Entry(seconds(total)), Entry(f"{total / whole:.0%}")])
        for name, builds in took.items()
        if (total := sum(builds.values())) and whole
    ]
    caption = (
        "Time by stage: training, evaluation and all, what cells share counted once; of what was interrupted, the last "
        "sitting."
    )
    return [Table(caption, ["", "Built", "Time", "Share"], lines)] if lines else []


def _cells(study: Study) -> Table:
    lines = []
    for cell in study.cells:
        runs = {stage: model.training for stage, model in cell.record.models.items()}
        trained = [
            Entry(f"{run['best_epoch']} of {run['epochs']}", f"{run['parameters']:,} parameters")
            if record.ELSEWHERE not in (run := runs.get(stage, {record.ELSEWHERE: "not trained"}))
            else Entry(run[record.ELSEWHERE])
            for stage in study.stages
        ]
        shared = sorted({run["shared_with"] for run in runs.values() if "shared_with" in run})
        wall = f"trained as {listed(shared)}" if shared else seconds(sum(run["seconds"] for run in runs.values()))
        wall = MISSING if all(record.ELSEWHERE in run for run in runs.values()) else wall
        settings = cell.record.provenance["settings"]
        lines.append(Line(cell.name, [Entry(str(cell.seed)), *trained, Entry(wall), Entry(settings)]))
    header = ["Cell", "Seed", *(f"{stage.upper()} epoch tested" for stage in study.stages), "Wall time", "Settings"]
    return Table("Finished cells.", header, lines)


def _unfinished(study: Study) -> Table:
    lines = [
        Line(name, [Entry("failed"), Entry(error.splitlines()[0] if error else "The error file is empty.")])
        for name, error in study.failed.items()
    ]
    lines += [Line(name, [Entry("missing"), Entry("Not started or not finished.")]) for name in study.missing]
    return Table("Cells without a result; they are in no number on this page.", ["Cell", "State", "Why"], lines)
