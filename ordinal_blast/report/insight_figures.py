"""The figures of `explain`: pixels as numbers, filters, feature maps, and evidence laid over an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from ordinal_blast.evaluation.evidence import Insight
from ordinal_blast.report import theme
from ordinal_blast.report.vectors import Drawing, drawn

EXCERPT = 12  # pixels of a side whose numbers are shown
CHANNELS = 8  # of a feature map that are shown
FILTERS = 16  # of the first layer that are shown
_PIXELS = 360  # of a side to which small images are enlarged, so that their pixels stay sharp
_OUTLINE = "#2fbf93"


def excerpt(insight: Insight) -> tuple[int, int]:
    """Row and column of the first pixel that is shown as a number: around the strongest edge by the first filter."""
    strength = next(iter(insight.edges.values()))
    half = EXCERPT // 2
    inner = strength[half:-half, half:-half]
    row, column = np.unravel_index(int(inner.argmax()), inner.shape) if inner.size else (0, 0)
    return int(row), int(column)


def seen(insight: Insight) -> Drawing:
    """The image with the outline of what is graded, and the window whose pixels are shown as numbers."""
    row, column = excerpt(insight)
    with theme.rc():
        figure = theme.new(3.2, 3.2)
        axes = figure.subplots()
        _image(axes, insight.seen, "gray")
        _outline(axes, insight.region)
        axes.add_patch(_square(row, column))
        return drawn(figure)


def matrix(insight: Insight) -> Drawing:
    """The pixels of the window, 0 black to 255 white."""
    row, column = excerpt(insight)
    grey = insight.seen if insight.seen.ndim == 2 else insight.seen.mean(axis=-1)
    numbers = np.round(grey[row : row + EXCERPT, column : column + EXCERPT]).astype(int)
    with theme.rc():
        figure = theme.new(3.2, 3.2)
        axes = figure.subplots()
        _image(axes, numbers, "gray", 0, 255)
        for (y, x), value in np.ndenumerate(numbers):
            axes.text(x, y, value, ha="center", va="center", fontsize=6, color="#000000" if value > 127 else "#fefefe")
        return drawn(figure)


def row_of(images: Mapping[str, np.ndarray]) -> Drawing:
    """Images `[H, W]` in a row, each from its least value, black, to its largest, white."""
    return _grid([list(images)], [[images[name] for name in images]], 2.1, 2.3)


def kernels(filters: Sequence[tuple[str, np.ndarray]]) -> Drawing:
    """The filters `[k, k, C, F]` of the first layer at several times, a row each: blue below 0, red above."""
    count = min(FILTERS, filters[0][1].shape[-1])
    rows = [[kernel[..., kernel.shape[2] // 2, n] for n in range(count)] for _, kernel in filters]
    with theme.rc():
        figure = theme.new(7.2, 0.6 * len(rows) + 0.1)
        for axes, row, (name, _) in zip(figure.subplots(len(rows), count, squeeze=False), rows, filters, strict=True):
            for n, (one, image) in enumerate(zip(axes, row, strict=True)):
                most = float(np.abs(image).max()) or 1.0
                _image(one, image, "RdBu_r", -most, most)
                if n == 0:
                    one.set_ylabel(name, rotation=0, ha="right", va="center")
        return drawn(figure)


def depth(maps: Mapping[str, np.ndarray]) -> Drawing:
    """Of each feature map `[h, w, C]` the channels that vary most, a row each, from the pixels on."""
    names, rows = [], []
    for n, one in enumerate(maps.values(), 1):
        order = np.argsort(-one.var(axis=(0, 1)), kind="stable")[:CHANNELS]
        names.append(f"{n}: {one.shape[0]} × {one.shape[1]},\n{one.shape[2]} channels")
        rows.append([one[..., channel] for channel in order])
    width = max(map(len, rows))
    with theme.rc():
        figure = theme.new(7.2, 0.75 * len(rows))
        for axes, row, name in zip(figure.subplots(len(rows), width, squeeze=False), rows, names, strict=True):
            for n, one in enumerate(axes):
                if n < len(row):
                    _image(one, row[n], "magma")
                else:
                    one.set_axis_off()
            axes[0].set_ylabel(name, rotation=0, ha="right", va="center")
        return drawn(figure)


def moved(insight: Insight) -> Drawing:
    """How far every kernel moved from its start, ‖W − W₀‖ / ‖W₀‖, at the times after it."""
    after = [moment for moment in insight.moments if moment.epoch]
    names = list(after[0].moved)
    with theme.rc():
        figure = theme.new(7.2, 0.5 + 0.17 * len(names))
        axes = figure.subplots()
        for moment, (colour, _), marker in zip(after, theme.COLOURS, theme.MARKERS, strict=False):
            values = [moment.moved[name] for name in names]
            axes.plot(values, range(len(names)), marker[0], color=colour, markersize=4, label=f"epoch {moment.epoch}")
        axes.set_yticks(range(len(names)), names, fontsize=6)
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        axes.grid(axis="x")
        axes.set_xlabel("distance from the start, over its length")
        axes.legend(loc="best")
        return drawn(figure)


def evidence(insight: Insight) -> Drawing:
    """Where the evidence of each task lies, over the image: brighter is more, each map over its largest value."""
    return _overlays([list(insight.evidence)], [[insight.evidence[task] for task in insight.evidence]], insight, 2.6)


def over_time(insight: Insight) -> Drawing:
    """The same at each time of training, a row a task."""
    titles = [[f"{task.upper()}, epoch {moment.epoch}" for moment in insight.moments] for task in insight.evidence]
    maps = [[moment.evidence[task] for moment in insight.moments] for task in insight.evidence]
    return _overlays(titles, maps, insight, 2.1)


def _overlays(
    titles: Sequence[Sequence[str]], maps: Sequence[Sequence[np.ndarray]], insight: Insight, side: float
) -> Drawing:
    grey = insight.seen if insight.seen.ndim == 2 else insight.seen.mean(axis=-1)
    with theme.rc():
        figure = theme.new(side * len(maps[0]), (side + 0.2) * len(maps))
        for axes, row, names in zip(figure.subplots(len(maps), len(maps[0]), squeeze=False), maps, titles, strict=True):
            for one, heat, title in zip(axes, row, names, strict=True):
                strength = heat / (heat.max() or 1.0)
                colours = colormaps["inferno"](strength)[..., :3] * 255
                weight = 0.7 * strength[..., None] ** 2  # so that weak evidence leaves the image as it is
                _image(one, (grey[..., None] * (1 - weight) + colours * weight).astype(np.uint8), None)
                _outline(one, insight.region)
                one.set_title(title.upper() if len(maps) == 1 else title)
        return drawn(figure)


def _grid(
    titles: Sequence[Sequence[str]], images: Sequence[Sequence[np.ndarray]], side: float, height: float
) -> Drawing:
    with theme.rc():
        figure = theme.new(side * len(images[0]), height * len(images))
        for axes, row, names in zip(
            figure.subplots(len(images), len(images[0]), squeeze=False), images, titles, strict=True
        ):
            for one, image, title in zip(axes, row, names, strict=True):
                _image(one, image, "gray")
                one.set_title(title)
        return drawn(figure)


def _image(
    axes: Axes, image: np.ndarray, colours: str | None, low: float | None = None, high: float | None = None
) -> None:
    """The image with its pixels enlarged to squares, which no viewer blurs; axes count its own pixels."""
    times = max(1, _PIXELS // max(image.shape[:2]))
    large = image.repeat(times, axis=0).repeat(times, axis=1)
    height, width = image.shape[:2]
    place = (-0.5, width - 0.5, height - 0.5, -0.5)
    axes.imshow(large, cmap=colours, vmin=low, vmax=high, interpolation="none", extent=place)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _outline(axes: Axes, region: np.ndarray | None) -> None:
    if region is not None and region.any() and not region.all():
        axes.contour(region.astype(float), levels=[0.5], colors=[_OUTLINE], linewidths=1.2)


def _square(row: int, column: int) -> Rectangle:
    return Rectangle((column - 0.5, row - 0.5), EXCERPT, EXCERPT, fill=False, edgecolor="#f0883e", linewidth=1.2)
