"""What a network sees in one image, as one self-contained page that a clinician reads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ordinal_blast.evaluation.evidence import GRADES, Concentration, Insight, Moment
from ordinal_blast.report import insight_figures, page
from ordinal_blast.report.blocks import Beside, Block, Bullets, Code, Entry, Gallery, Line, Section, Table, Text
from ordinal_blast.report.formats import listed, number
from ordinal_blast.report.pictures import picture
from ordinal_blast.report.vectors import Drawing
from ordinal_blast.storage import atomic

_OF = {"grade": "the grade that was decided", "expected": "a higher expected grade"}
_TIMES = {"before training": "before training", GRADES: "the epoch that was selected, which grades", "last": "the last"}


def write(insight: Insight, out: Path, command: str) -> None:
    """Write the page to the file `out`; `command` is printed as what made it."""
    chapter = {
        "key": "insight",
        "name": insight.cell,
        "title": f"What the network {insight.model} sees in {Path(insight.name).name}",
        "facts": [("Reads", " × ".join(map(str, insight.shape))), *_grades(insight)],
        "sections": [
            Section("answer", "What it says, and where the evidence lies", [*_answer(insight)]),
            Section("pixels", "An image is a matrix", [*_pixels(insight)]),
            Section("edges", "Edges by rules that people wrote", [*_edges(insight)]),
            Section("filters", "Filters that were learnt", [*_filters(insight)]),
            Section("depth", "From edges to features, layer by layer", [*_depth(insight)]),
            Section("training", "How training moved it", [*_training(insight)]),
            Section("limits", "What this page does not say", [*_limits(insight), Code(command)]),
        ],
    }
    with atomic(out) as stream:
        stream.write(page.rendered([chapter])["report.html"].encode())


def shares(insight: Insight) -> dict[str, Any]:
    """How much of the evidence lies in the region, by task, for programs: of this image, and over test examples."""
    covered = None if insight.region is None else float(insight.region.mean())
    return {
        "input": insight.name,
        "model": insight.model,
        "of": insight.of,
        "layer": insight.layer,
        "covered": covered,
        "inside": {task: None if math.isnan(share) else share for task, share in insight.shares().items()},
        "tested": {task: _plain(one) for task, one in insight.tested.items()},
    }


def _plain(one: Concentration) -> dict[str, float | None]:
    return {key: None if math.isnan(value) else value for key, value in vars(one).items()}


def _grades(insight: Insight) -> list[tuple[str, str]]:
    facts = [(line["task"].upper(), line["grade"]) for line in insight.lines]
    about: Mapping[str, Any] = insight.lines[0]["about"]
    return [*facts, *([("Quality", about["quality"])] if "quality" in about else [])]


def _answer(insight: Insight) -> Iterator[Block]:
    header = ["Task", "Grade", "Grade set", "Probabilities"]
    inside = insight.shares()
    lines = []
    for line in insight.lines:
        among = " or ".join(line["set"]) if "set" in line else "not known"
        level = f"{100 * line['level']:g} %" if "set" in line else ""
        chances = ", ".join(f"{name} {share:.2f}" for name, share in line["probs"].items())
        entries = [Entry(line["grade"]), Entry(among, level), Entry(chances)]
        lines.append(Line(line["task"].upper(), [*entries, *([Entry(_share(inside[line["task"]]))] if inside else [])]))
    if inside:
        header.append("Evidence inside the outline")
    positions = " × ".join(map(str, insight.maps[insight.layer].shape[:2]))
    shown = f"Bright: where the features that speak for {_OF[insight.of]} are strong (Grad-CAM). "
    yield Beside(
        [
            _gallery(
                insight_figures.evidence(insight),
                "Evidence over the image",
                f"{shown}It is read from {positions} positions of the network and enlarged.{_outlined(insight)}",
            ),
            Table("What the network says of this image, and how much of its evidence lies inside.", header, lines),
        ]
    )
    if insight.region is not None:
        covered = float(insight.region.mean())
        yield Text(
            f"The outline covers {_share(covered)} of what the network reads: evidence without a preference, at the "
            "rim of the well as much as elsewhere, would have that share inside. A share well below it says that the "
            "network looks beside what it should grade."
        )
    if insight.tested:
        rows = [Line(task.upper(), _tested(one)) for task, one in insight.tested.items()]
        one = next(iter(insight.tested.values()))
        yield Table(
            f"The same over {one.n} test examples of the run: means, and the difference with its 95 % interval, "
            "examples taken as independent.",
            ["Task", "Evidence inside", "Outline covers", "Difference"],
            rows,
        )
    about = dict(insight.lines[0]["about"])
    warnings = [f"Warning: {one}." for one in insight.lines[0]["warnings"]]
    if "distance_p" in about:
        warnings.append(
            f"{_share(about['distance_p'])} of the validation examples lie as far from the training data, or farther."
        )
    if "sharpness_p" in about:
        warnings.append(f"{_share(about['sharpness_p'])} of the validation examples are no sharper than it.")
    notes = [f"Note: {one}." for one in insight.lines[0]["notes"]]
    if warnings or notes:
        yield Bullets([*warnings, *notes])


def _tested(one: Concentration) -> list[Entry]:
    if not one.n:
        return [Entry("no evidence"), Entry("–"), Entry("–")]
    low, high = (number(100 * (one.excess + side * 1.96 * one.standard_error), 1, sign=True) for side in (-1, 1))
    band = "" if math.isnan(one.standard_error) else f"[{low}, {high}] points"
    difference = Entry(number(100 * one.excess, 1, sign=True), band)
    return [Entry(_share(one.inside)), Entry(_share(one.covered)), difference]


def _pixels(insight: Insight) -> Iterator[Block]:
    side = insight_figures.EXCERPT
    yield Text(
        "A computer has no eyes: an image reaches it as a grid of numbers, one a pixel, from 0 (black) to 255 (white). "
        f"The orange window of {side} × {side} pixels is shown on the right as the network reads it."
    )
    figures = {"The image": insight_figures.seen(insight), "Its pixels as numbers": insight_figures.matrix(insight)}
    planes = insight.shape[-1]
    more = f" The network reads {planes} such grids at once; the middle one is shown." if planes not in (1, 3) else ""
    pictures = [_picture(one, name) for name, one in figures.items()]
    yield Gallery(f"{_outlined(insight).strip()}{more}".strip(), pictures)


def _edges(insight: Insight) -> Iterator[Block]:
    yield Text(
        "Sliding a small grid of weights over the pixels, multiplying and adding, is a convolution. Classic filters "
        "have weights that people chose so that the result is large where brightness changes: at edges."
    )
    names = listed(list(insight.edges))
    yield _gallery(insight_figures.row_of(insight.edges), "Edge filters", f"{names}: white is strong.", "full")


def _filters(insight: Insight) -> Iterator[Block]:
    filters = [(_epoch(one), one.kernel) for one in insight.moments if one.kernel is not None]
    if not filters:
        yield Text("The first layer of this network is no plain convolution: it has no filters to draw.")
        return
    yield Text(
        "A convolutional network has the same operation, and nobody chose its weights: they began at random, and "
        "training moved them. These are filters of its first layer."
    )
    kept = [(name, kernel) for name, kernel in filters if kernel is not None]
    width, _, planes, count = kept[0][1].shape
    shown = min(count, insight_figures.FILTERS)
    plane = f", those of the middle of {planes} planes" if planes > 1 else ""
    caption = (
        f"{shown} of {count} filters of {width} × {width} weights{plane}: blue below 0, red above. A row is a time of "
        "training."
    )
    yield _gallery(insight_figures.kernels(kept), "Filters of the first layer", caption, "full")


def _depth(insight: Insight) -> Iterator[Block]:
    yield Text(
        "What a layer computes is a stack of maps, which the next layer reads as its image. They become smaller and "
        "more: first edges and textures in their places, at the end a few positions with many features, whose mean is "
        "graded."
    )
    caption = f"The {insight_figures.CHANNELS} channels of each map that vary most in this image: bright is strong."
    yield _gallery(insight_figures.depth(insight.maps), "Feature maps", caption, "full")


def _training(insight: Insight) -> Iterator[Block]:
    times = listed([f"{_epoch(one)} ({_TIMES[one.name]})" for one in insight.moments])
    yield Text(f"The same image and the same grades, by the network at several times: {times}.")
    caption = f"Evidence for {_OF[insight.of]}, each map over its largest value.{_outlined(insight)}"
    yield _gallery(insight_figures.over_time(insight), "Evidence at several times", caption, "full")
    if any(moment.moved for moment in insight.moments):
        yield _gallery(
            insight_figures.moved(insight),
            "How far every kernel moved",
            "How far the weights of every layer moved from where they began, by the names of the layers.",
            "full",
        )


def _limits(insight: Insight) -> Iterator[Block]:
    yield Bullets(
        [
            "Evidence is what the network used, right or wrong: a map on the right place is no proof of a right grade.",
            "Grad-CAM shows what speaks for a grade, not what speaks against it, and no finer than the map it is read "
            f"from, {insight.layer}.",
            *(f"Of the training: {note}." for note in insight.notes),
        ]
    )


def _epoch(moment: Moment) -> str:
    return f"epoch {moment.epoch}"


def _share(value: float) -> str:
    return "no evidence" if math.isnan(value) else f"{number(100 * value, 1)} %"


def _outlined(insight: Insight) -> str:
    return "" if insight.region is None else " Green: the outline of what is graded, as the run finds it."


def _gallery(drawing: Drawing, alt: str, caption: str, size: str = "medium") -> Gallery:
    return Gallery(caption, [_picture(drawing, alt)], size)


def _picture(drawing: Drawing, alt: str) -> Any:
    return picture(alt.lower().replace(" ", "-"), drawing, alt)
