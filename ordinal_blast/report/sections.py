"""One study as the sections of a page: what is compared, the groups, outcome, training, provenance."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pandas as pd

from ordinal_blast.report import answer, figures, pairing
from ordinal_blast.report.blocks import Block, Bullets, Code, Details, Entry, Gallery, Line, Section, Table, Text
from ordinal_blast.report.caveats import caveats
from ordinal_blast.report.comparison import group_section, ranking_blocks
from ordinal_blast.report.examples import strip
from ordinal_blast.report.formats import count, extent, listed, number, runs_of, seconds
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.rankings import outcome
from ordinal_blast.report.results import Study


def sections(study: Study, key: str, command: str) -> list[Section]:
    """All sections of one study; `key` starts its anchors and figure names."""
    studio = Studio(key, study)
    found = [_answer(study, studio)]
    if study.cells:
        found += [group_section(study, group, studio) for group in study.groups()]
        found += _outcome(study, studio)
        found += [Section(studio.anchor("examples"), "Examples", [shown])] if (shown := strip(study, studio)) else []
        found.append(_training(study, studio))
    found.append(_provenance(study, studio, command))
    return found


def facts(study: Study) -> list[tuple[str, str]]:
    """What a reader wants to know first, as (name, value)."""
    plan = study.plan
    planned = len(plan["cells"])
    found = [
        ("Variants", f"{len(study.variants)} of {len(plan['variants'])}"),
        ("Seeds", str(len(study.seeds))),
        ("Cells finished", f"{len(study.cells)} of {planned}"),
    ]
    if not study.cells:
        return found
    tested = [group.rows["n"] for group in study.groups()]
    found.append(("Test examples", extent(pd.concat(tested).tolist()) if tested else "0"))
    found.append(("Dataset", study.cells[0].result["dataset"]["name"]))
    croppers = [cell.result.get("stages", {}).get("cropper", {}) for cell in study.cells]
    dice = [value for cropper in croppers if (value := cropper.get("dice_val")) is not None]
    if dice:
        found.append(("Cropper Dice (validation)", number(sum(dice) / len(dice))))
    return found


def _answer(study: Study, studio: Studio) -> Section:
    blocks: list[Block] = [Text(answer.lead(study))]
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
        blocks.append(Bullets(answer.findings(study)))
        blocks += [Text(note, note=True) for note in caveats(study)]
        blocks.append(_variants(study, studio))
    return Section(studio.anchor("answer"), "Answer", blocks)


def _variants(study: Study, studio: Studio) -> Table:
    def line(variant: str) -> Line:
        cells = [cell for cell in study.cells if cell.variant == variant]
        objective = cells[0].result["objective"]
        options = ", ".join(f"{name} = {value}" for name, value in sorted(objective["options"].items()))
        return Line(
            variant + (" (reference)" if variant == study.reference else ""),
            [
                Entry(objective["name"]),
                Entry(options or "defaults"),
                Entry(objective["decides_by"]),
                Entry(runs_of([cell.seed for cell in cells])),
            ],
            studio.mark(variant),
        )

    return Table(
        "What is compared. Each variant keeps its colour and symbol on the whole page.",
        ["Variant", "Objective", "Options", "Decides by", "Finished seeds, by number"],
        [line(variant) for variant in study.variants],
    )


def _outcome(study: Study, studio: Studio) -> list[Section]:
    blocks = [
        block
        for model in reversed(study.models)
        if (groups := [group for group in study.groups() if group.model == model]) and (ranking := outcome(groups))
        for block in ranking_blocks(study, [ranking], f"outcome-{model}", studio, model.upper())
    ]
    return [Section(studio.anchor("outcome"), "Outcome: fetal heartbeat", blocks)] if blocks else []


def _training(study: Study, studio: Studio) -> Section:
    runs = {
        model: {variant: found for variant in study.variants if (found := _runs(study, model, variant))}
        for model in reversed(study.models)
    }
    common = pairing.common({v: [cell.seed for cell in study.cells if cell.variant == v] for v in study.variants})
    comparable = [
        studio.picture(
            f"validation-qwk-{model}",
            figures.validation_qwk(shared, studio.looks, model.upper()),
            f"Validation QWK per epoch of the {model.upper()}, one line per variant.",
        )
        for model, found in runs.items()
        if _has_qwk(shared := {variant: _runs(study, model, variant, common) for variant in found})
    ]
    blocks: list[Block] = []
    if comparable:
        planned = len(study.plan["seeds"])
        over = "seeds" if len(common) == planned else f"the {len(common)} of {planned} planned seeds that all finished"
        blocks.append(Gallery(f"Validation QWK, mean over {over}: one scale for all variants.", comparable, "wide"))
    for model, found in runs.items():
        pictures = [
            studio.picture(
                f"training-{model}-{studio.number(variant)}",
                figures.training(histories, studio.looks[variant]),
                f"Training and validation loss per epoch of the {model.upper()} with {variant}.",
            )
            for variant, histories in found.items()
        ]
        if pictures:
            many = max(map(len, found.values())) > figures.MOST_LINES
            lines = (
                "mean over seeds; dashed training, solid validation with its range."
                if many
                else "one line per seed; dashed training, solid validation, the dot is the epoch that was tested."
            )
            caption = (
                f"{model.upper()}: loss per epoch, {lines} Losses of different objectives are in different units: "
                "compare shapes only."
            )
            blocks.append(Gallery(caption, pictures))
    return Section(studio.anchor("training"), "Training", blocks or [Text("No training history was stored.")])


def _has_qwk(runs: Mapping[str, list[Mapping]]) -> bool:
    """Whether every variant has a history, and every epoch of it a validation QWK."""
    lines = [line for found in runs.values() for run in found for line in run["history"]]
    return bool(runs) and all(runs.values()) and all(line.get("val_qwk") is not None for line in lines)


def _runs(study: Study, model: str, variant: str, seeds: Collection[int] | None = None) -> list[Mapping]:
    """The training of a model per seed, of these seeds alone where they are given."""
    return [
        run
        for cell in study.cells
        if cell.variant == variant and (seeds is None or cell.seed in seeds)
        for run in cell.result["training"]
        if run["model"] == model and run["history"]
    ]


def _provenance(study: Study, studio: Studio, command: str) -> Section:
    blocks: list[Block] = [
        Text("This page was made by"),
        Code(command),
        Text("from the cells that were run by"),
        Code(study.plan["command"]),
    ]
    if study.cells:
        blocks += [_dataset(study), _software(study), Details("Every cell", [_cells(study)])]
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
        dataset = cell.result["dataset"]
        described[repr({**dataset, "identity": ""})] = dataset
    lines = []
    for dataset in described.values():
        sizes = ", ".join(f"{split} {size:,}" for split, size in dataset["sizes"].items())
        lines += [
            Line("Name", [Entry(dataset["name"])]),
            Line("Content", [Entry(dataset["summary"])]),
            Line("Split", [Entry(f"{dataset['split']} ({sizes})")]),
            Line("Licence", [Entry(dataset["licence"])]),
            Line("Citation", [Entry(dataset["citation"])]),
        ]
    return Table("Dataset.", [], lines)


def _software(study: Study) -> Table:
    provenance = [cell.result["provenance"] for cell in study.cells]
    names = sorted({name for found in provenance for name in found["versions"]})

    def distinct(values: list[str]) -> Entry:
        return Entry("; ".join(sorted(set(values))))

    lines = [Line("devices and threads", [distinct([found["device"] for found in provenance])])]
    lines += [Line(name, [distinct([found["versions"].get(name, "absent") for found in provenance])]) for name in names]
    wall = sum(run["seconds"] for cell in study.cells for run in cell.result["training"] if "shared_with" not in run)
    lines.append(Line("training time, all cells", [Entry(seconds(wall))]))
    return Table("Devices, threads and versions; several values mean that cells differ.", [], lines)


def _cells(study: Study) -> Table:
    models = study.models
    lines = []
    for cell in study.cells:
        runs = {run["model"]: run for run in cell.result["training"]}
        trained = [
            Entry(f"{run['best_epoch']} of {run['epochs']}", f"{run['parameters']:,} parameters")
            if (run := runs.get(model))
            else Entry("not trained")
            for model in models
        ]
        shared = sorted({run["shared_with"] for run in runs.values() if "shared_with" in run})
        wall = f"trained as {listed(shared)}" if shared else seconds(sum(run["seconds"] for run in runs.values()))
        lines.append(
            Line(
                cell.name,
                [Entry(str(cell.seed)), *trained, Entry(wall), Entry(cell.result["provenance"]["config_sha"])],
            )
        )
    header = ["Cell", "Seed", *(f"{model.upper()} epoch tested" for model in models), "Wall time", "Config"]
    return Table("Finished cells.", header, lines)


def _unfinished(study: Study) -> Table:
    lines = [
        Line(name, [Entry("failed"), Entry(error.splitlines()[0] if error else "The error file is empty.")])
        for name, error in study.failed.items()
    ]
    lines += [Line(name, [Entry("missing"), Entry("Not started or not finished.")]) for name in study.missing]
    return Table("Cells without a result; they are in no number on this page.", ["Cell", "State", "Why"], lines)
