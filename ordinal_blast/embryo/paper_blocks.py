"""The tables of the paper beside ours: accuracy and squared error, and the networks themselves."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ordinal_blast.embryo import paper
from ordinal_blast.record import SECONDS, TIMED
from ordinal_blast.report import published
from ordinal_blast.report.blocks import Entry, Line, Part, Section, Table, Text
from ordinal_blast.report.compare import Study
from ordinal_blast.report.formats import MISSING, interval, number
from ordinal_blast.report.measures import PRIMARY, over_seeds
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.published import Published
from ordinal_blast.report.results import Group

Groups = dict[tuple[str, str], Group]  # by stage and task
COVERS = "with its 95 % interval over new seeds and new embryos (or their treatments). Gap: here minus paper."
_MEASURES = {measure.key: measure for measure in PRIMARY}
OTHER_DATA = (
    "The paper’s numbers are of one training on private images, and these of other data: no test compares them. What "
    "can be compared is what leads to what, and in which order."
)


def sections(study: Study, studio: Studio) -> list[Section]:
    """One section with every table of which the study has a line; none of other tasks."""
    groups = {(group.stage, group.task): group for group in study.groups()}
    parts = [part for table in paper.TABLES for part in _table(study, groups, table)]
    parts += _times(study)
    if not parts and not dices(study):
        return []
    blocks = [*parts, _networks(study), Text(OTHER_DATA, note=True)]
    return [Section(studio.anchor("paper"), "The paper’s tables", blocks)]


def _table(study: Study, groups: Groups, table: paper.Results) -> Iterator[Part]:
    tables = []
    for task in paper.TASKS:
        lines = [line for one in table.lines if (line := _line(study, groups, one, task))]
        if lines:
            caption = f"{task.upper()}. {table.number} of the paper, and here the test set, mean over seeds {COVERS}"
            header = [what for m in paper.MEASURES for what in (f"{_MEASURES[m].label} paper", "here", "gap")]
            tables.append(Table(caption, ["Paper (here)", *header], lines))
    if tables:
        yield Part(f"{table.number}: {table.title}", tables)


def _line(study: Study, groups: Groups, line: paper.Published, task: str) -> Line | None:
    """A line of the paper for one task beside ours; None where the study has none."""
    if not (place := next((place for place in line.places if _has(groups, place, task)), None)):
        return None
    cells = [_entries(study, groups, line, place, (measure, task)) for measure in paper.MEASURES]
    if not any(cells):
        return None
    entries = [entry for cell in cells for entry in cell or published.entries(None)]
    return Line(f"{line.name} ({place[0].upper()}, {place[1]})", entries)


def _has(groups: Groups, place: paper.Place, task: str) -> bool:
    stage, variant = place
    return (stage, task) in groups and variant in groups[stage, task].variants


def _entries(
    study: Study,
    groups: Groups,
    line: paper.Published,
    place: paper.Place,
    key: tuple[str, str],
) -> list[Entry]:
    """Paper, here and their gap for one measure of one task; empty where either has none."""
    (measure, task), (stage, variant) = key, place
    if key not in line.values or not _has(groups, place, task):
        return []
    group = groups[stage, task]
    own = over_seeds(group, _MEASURES[measure]).loc[variant]
    here = Published(variant, _MEASURES[measure], line.values[key], math.nan, own["mean"], own["sd"], int(own["seeds"]))
    means = group.within(study.means)
    row = means[(means["variant"] == variant) & (means["measure"] == measure)].iloc[0]
    return published.entries(here, interval(row["low"], row["high"], sign=False))


def _times(study: Study) -> list[Part]:
    """Seconds of one blastocyst, as the cells that timed it say (table 8); the cropper is in ours alone."""
    lines, whole = [], []
    for cell in study.cells:
        facts = {name: of for name, of in cell.record.stages.items() if SECONDS in of}
        parts = _phases([*facts], [*cell.record.models], {name: of[SECONDS] for name, of in facts.items()})
        if len(parts) == len(_PHASES):
            whole += [of[TIMED] for of in facts.values() if TIMED in of]
            entries = [Entry(number(part)) for part in (*parts, sum(parts))]
            lines.append(Line(f"here, {cell.variant}, {cell.record.provenance['device']}", entries))
    if not lines:
        return []
    for name, (cnn, rnn, both) in paper.SECONDS.items():
        lines.append(Line(f"paper, {name}", [Entry(MISSING), *(Entry(number(value)) for value in (cnn, rnn, both))]))
    caption = (
        f"Seconds of one blastocyst. Here: {' or '.join(dict.fromkeys(whole))}, from frames in memory to grades, the "
        "cropper and every frame that is looked at in it; the least of the gradings that a cell of seed 0 timed on the "
        "first of its devices. The paper: 30 frames, without a cropper."
    )
    return [Part("Table 8: seconds", [Table(caption, ["", *_PHASES, "Total"], lines)])]


_PHASES = ("Cropper", "CNN", "RNN")


def _phases(stages: list[str], models: list[str], seconds: dict[str, float]) -> list[float]:
    """Sums of what stages in order take: before the first that grades, from there to the last that does, and that."""
    if len(models) != 2 or not {*models} <= {*stages}:
        return []
    first, last = (stages.index(name) for name in models)
    spans = (stages[:first], stages[first:last], stages[last:])
    return [sum(seconds[name] for name in span) for span in spans]


def _networks(study: Study) -> Part:
    """Parameters of each network, and the cropper's Dice, beside what the paper prints."""
    cells = [cell.record for cell in study.cells]
    counts: dict[str, set[int]] = {}
    for record in cells:
        for stage, model in record.models.items():
            counts.setdefault(stage, set()).add(model.training["parameters"])
        for stage, facts in record.stages.items():
            if "parameters" in facts:
                counts.setdefault(stage, set()).add(facts["parameters"])
    lines = [
        Line(f"{stage.upper()}, parameters", [Entry(paper.PARAMETERS.get(stage, MISSING)), Entry(_listed(numbers))])
        for stage, numbers in counts.items()
    ]
    lines += _croppers(study)
    caption = "Networks (tables 1, 2 and A.9), and the cropper (section 2.2: 425 test images). Dice: mean over cells."
    return Part("Tables 1, 2 and A.9: networks and cropper", [Table(caption, ["", "Paper", "Here"], lines)])


def _croppers(study: Study) -> list[Line]:
    """How well masks are met: of the test set with the interval of new images, of its embryos alone, of validation."""
    of, lines = dices(study), []
    if "test" in of:
        images, empty = (max(_facts(study, name), default=0) for name in ("images_test", "empty_test"))
        low, high = reach(study)
        said = ""
        if math.isfinite(low):
            said = f"{interval(low, high, sign=False)} {images:,} images, {empty:,} of them without an embryo"
        lines.append(
            Line("cropper, Dice of the test set", [Entry(number(paper.DICE)), Entry(number(of["test"]), said)])
        )
    if seen := _facts(study, "dice_test_seen"):
        lines.append(Line("of its embryos alone", [Entry(MISSING), Entry(number(sum(seen) / len(seen)))]))
    if "validation" in of:
        lines.append(Line("of the validation set", [Entry(MISSING), Entry(number(of["validation"]))]))
    return lines


def reach(study: Study) -> tuple[float, float]:
    """The 95 % interval of the test set's Dice over new images; NaN where its error is not known, or there is none."""
    of, error = dices(study).get("test", math.nan), 1.96 * max(_facts(study, "dice_test_error"), default=math.nan)
    return max(of - error, 0.0) if math.isfinite(of - error) else math.nan, min(of + error, 1.0)


def dices(study: Study) -> dict[str, float]:
    """Dice of the cropper's masks on the test set, which chose nothing, and on the validation set: means over cells."""
    values = {"test": _facts(study, "dice_test"), "validation": _facts(study, "dice_val")}
    return {name: sum(of) / len(of) for name, of in values.items() if of}


def _facts(study: Study, name: str) -> list[float]:
    """What the stages of all cells have under this name."""
    stages = (facts for cell in study.cells for facts in cell.record.stages.values())
    return [facts[name] for facts in stages if facts.get(name) is not None]


def _listed(numbers: set[int]) -> str:
    return " or ".join(f"{count:,}" for count in sorted(numbers))
