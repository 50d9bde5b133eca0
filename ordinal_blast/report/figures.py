"""The figures, each a small SVG drawn from values computed elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from ordinal_blast.report import theme
from ordinal_blast.report.formats import interval, number
from ordinal_blast.report.names import cut, labels
from ordinal_blast.report.rankings import Ranking
from ordinal_blast.report.theme import Look
from ordinal_blast.report.vectors import Drawing, drawn, thinned
from ordinal_blast.report.verdicts import Difference

SIDE = 266.4  # of a square figure, in points
LONGEST_TITLE = 48
MOST_CURVES = 20  # variants of one figure, and figures of one kind: no more are told apart
MOST_LINES = 6  # seeds that are drawn one by one
MOST_WORDS = 8  # grades of a confusion matrix with a number in every cell
_STEPS = 20  # shades of a cell
Points = Mapping[str, tuple[float, float]]  # by what they are of
_NOTHING: Mapping[str, Points] = {}
_LEVEL = 5  # letters of a grade that fit below its cell


def forest(
    differences: Sequence[Difference],
    looks: Mapping[str, Look],
    reference: str,
    title: str,
    *,
    subject: str = "",
    equivalence: float | None = None,
) -> Drawing:
    """Every variant's difference to the reference on one measure: mean, adjusted interval, and few seeds as dots.

    Names stand above their intervals, so that a telephone shows it whole. The band of `equivalence` is shaded.
    """
    measure = differences[0].measure
    with theme.rc():
        figure = theme.new(3.5, 0.75 + 0.36 * len(differences))
        axes = figure.subplots()
        if equivalence:
            axes.axvspan(-equivalence, equivalence, color=theme.GRID, linewidth=0)
        axes.axvline(0, color=looks[reference].colour, linestyle=looks[reference].dash, linewidth=1)
        beside = {"transform": axes.get_yaxis_transform(), "va": "center", "color": theme.INK}
        for row, gap in enumerate(differences):
            look, weight = looks[gap.variant], "bold" if gap.variant == subject else "normal"
            if len(gap.values) <= MOST_LINES:
                spread = row + 0.38 + np.zeros(len(gap.values))
                axes.scatter(gap.values, spread, s=6, color=look.colour, alpha=0.55, linewidths=0)
            thick = 2.6 if gap.variant == subject else 1.5
            if np.isfinite(gap.low):
                ends = [gap.low, gap.high]
                axes.plot(ends, [row + 0.14] * 2, color=look.colour, linewidth=thick, solid_capstyle="butt")
            face = look.colour if gap.established else theme.PAPER
            axes.plot(gap.mean, row + 0.14, marker=look.marker, color=look.colour, markerfacecolor=face)
            value = f"{number(gap.mean, sign=True)} {interval(gap.low, gap.high)}"
            axes.text(0, row - 0.24, look.label, ha="left", fontweight=weight, **beside)
            axes.text(1, row - 0.24, value, ha="right", fontsize=7.5, fontweight=weight, **beside)
        axes.set_yticks([])
        axes.set_ylim(len(differences) - 0.45, -0.55)
        extent = 1.1 * max(abs(limit) for limit in (*axes.get_xlim(), equivalence or 0))
        axes.set_xlim(-extent, extent)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.spines["left"].set_visible(False)
        axes.set_title(cut(f"{title}, minus that of {looks[reference].label}", LONGEST_TITLE))
        axes.set_xlabel("better →" if measure.higher else "← better", loc="right" if measure.higher else "left")
        return drawn(figure)


def confusion(
    counts: np.ndarray, grades: Sequence[str], look: Look, axis_names: tuple[str, str] = ("true", "predicted")
) -> Drawing:
    """Counts `[K, K]` (rows true, columns predicted), shaded by the share of their row; in words for few grades.

    axis_names: of rows and columns, where they are something else.
    """
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    k = len(grades)
    label = labels(grades)
    places = [(row, column) for row in range(k) for column in range(k)]
    side = 0.45 if k <= MOST_WORDS else 3.2 / k
    with theme.rc():
        figure = theme.new(0.55 + side * k, 0.7 + side * k)
        axes = figure.subplots()
        axes.add_patch(_boxes(places, facecolor=theme.GRID, alpha=0.35))
        steps = np.round(shares * _STEPS).astype(int)
        for step in range(1, _STEPS + 1):
            if cells := [place for place in places if steps[place] == step]:
                axes.add_patch(_boxes(cells, facecolor=look.colour, alpha=0.75 * step / _STEPS))
        for row, column in places if k <= MOST_WORDS else []:
            weight = "bold" if row == column else "normal"
            share = f"{shares[row, column]:.0%}"
            axes.text(column, row - 0.1, share, ha="center", va="center", fontsize=9, fontweight=weight)
            axes.text(column, row + 0.24, f"{counts[row, column]}", ha="center", va="center", fontsize=7)
        axes.set_xlim(-0.5, k - 0.5)
        axes.set_ylim(k - 0.5, -0.5)
        axes.set_aspect("equal")
        for ticks in (axes.set_xticks, axes.set_yticks):
            ticks(range(k), [label[grade] for grade in grades])
        if max(map(len, label.values())) > (_LEVEL if k <= MOST_WORDS else 2):
            axes.tick_params(axis="x", labelrotation=90)
        axes.tick_params(labelcolor=theme.INK)
        axes.set_xlabel(axis_names[1])
        axes.set_ylabel(axis_names[0])
        axes.spines[:].set_visible(False)
        figure.suptitle(look.label, x=0.02, ha="left", fontsize=7.5, fontweight="bold", color=theme.INK)
        numbers = [(grades[row], grades[column], counts[row, column], shares[row, column]) for row, column in places]
        return drawn(figure, pd.DataFrame(numbers, columns=[*axis_names, "count", "share"]))


def _boxes(places: Sequence[tuple[int, int]], **style: Any) -> PathPatch:
    """One shape of the cells (row, column) together: of many grades, a shape a cell would be most of the page."""
    corners = np.array([(-0.47, -0.47), (0.47, -0.47), (0.47, 0.47), (-0.47, 0.47), (-0.47, -0.47)])
    vertices = [corners + np.array([column, row]) for row, column in places]
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * len(places)
    return PathPatch(Path(np.concatenate(vertices), codes), linewidth=0, **style)


def curves(
    ranking: Ranking,
    areas: Mapping[str, float],
    looks: Mapping[str, Look],
    marked: Mapping[str, Points] = _NOTHING,
    title: str = "",
) -> Drawing:
    """ROC curves of all variants on one binary question, each the mean of its seeds' curves, with its area.

    marked: false and true positive rates to be marked of a variant, each with its name. title: the question, if empty.
    """
    with theme.rc():
        figure = theme.new(SIDE / 72, SIDE / 72)
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=theme.GRID, linewidth=1)
        points = []
        for variant, area in areas.items():
            look, (fpr, tpr) = looks[variant], ranking.curve(variant)
            kept = thinned(SIDE * np.column_stack([fpr, tpr]))  # a step an example is megabytes
            fpr, tpr = fpr[kept], tpr[kept]
            axes.plot(fpr, tpr, color=look.colour, linestyle=look.dash, label=f"{area:.3f}  {look.label}")
            rates = {"false_positive_rate": fpr, "true_positive_rate": tpr}
            points.append(pd.DataFrame({"variant": variant, **rates}))
            for name, (x, y) in marked.get(variant, {}).items():
                axes.plot(x, y, marker=look.marker, color=look.colour, clip_on=False)
                place = {"xytext": (-5, -3), "va": "top"} if y > 0.9 else {"xytext": (-4, 4), "va": "bottom"}
                axes.annotate(name, (x, y), textcoords="offset points", ha="right", fontsize=7.5, **place)
        axes.set_xlim(-0.01, 1.01)
        axes.set_ylim(-0.01, 1.01)
        axes.set_aspect("equal")
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", ".25", ".5", ".75", "1"])
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", ".25", ".5", ".75", "1"])
        axes.grid()
        axes.set_xlabel("1 − specificity")
        axes.set_ylabel("sensitivity")
        axes.legend(loc="lower right", title="AUC", alignment="left", handlelength=1.6, borderaxespad=0.2)
        axes.set_title(cut(title or ranking.name, LONGEST_TITLE))
        return drawn(figure, pd.concat(points, ignore_index=True))


def training(runs: Sequence[Mapping[str, Any]], look: Look) -> Drawing:
    """Training (dashed) and validation loss per epoch: a line per seed with a dot at the epoch that was tested.

    Above `MOST_LINES` seeds, the mean over seeds and, for the validation, the range.
    """
    dashed = {"color": look.colour, "linewidth": 0.9, "linestyle": (0, (2, 1.5)), "alpha": 0.7}
    with theme.rc():
        figure = theme.new(2.9, 2.1)
        axes = figure.subplots()
        curves = [_columns(run["history"], "epoch", "train_loss", "val_loss") for run in runs]
        if len(runs) > MOST_LINES:
            shortest = min(len(epochs) for epochs, _, _ in curves)
            epochs, train, validation = (np.stack([curve[i][:shortest] for curve in curves]) for i in range(3))
            axes.plot(epochs[0], train.mean(axis=0), **dashed)
            axes.plot(epochs[0], validation.mean(axis=0), color=look.colour, linewidth=1.3)
            band = validation.min(axis=0), validation.max(axis=0)
            axes.fill_between(epochs[0], *band, color=look.colour, alpha=0.2, linewidth=0)
            means = {"epoch": epochs[0], "train_loss": train.mean(axis=0), "val_loss": validation.mean(axis=0)}
            shown = [pd.DataFrame({**means, "val_low": band[0], "val_high": band[1]})]
        else:
            shown = []
            for number, (run, (epochs, train, validation)) in enumerate(zip(runs, curves, strict=True)):
                losses = {"epoch": epochs, "train_loss": train, "val_loss": validation}
                shown.append(pd.DataFrame({"run": number, **losses}))
                axes.plot(epochs, train, **dashed)
                axes.plot(epochs, validation, color=look.colour, linewidth=1.3)
                best = np.flatnonzero(epochs == run["best_epoch"])
                axes.plot(epochs[best], validation[best], marker="o", color=look.colour, linestyle="none")
        _epochs(axes)
        axes.set_ylim(bottom=0 if axes.get_ylim()[0] > 0 else None)
        axes.set_ylabel("loss")
        axes.set_title(look.label)
        return drawn(figure, pd.concat(shown, ignore_index=True))


def validation_qwk(runs: Mapping[str, Sequence[Mapping[str, Any]]], looks: Mapping[str, Look], title: str) -> Drawing:
    """Validation QWK per epoch, the mean over seeds: unlike losses, comparable between variants."""
    with theme.rc():
        figure = theme.new(4.0, 3.2)
        axes = figure.subplots()
        means = []
        for variant, histories in runs.items():
            table = [dict(zip(*_columns(run["history"], "epoch", "val_qwk"), strict=True)) for run in histories]
            epochs = sorted(set.intersection(*map(set, table)))
            mean = [np.mean([seed[epoch] for seed in table]) for epoch in epochs]
            look = looks[variant]
            means.append(pd.DataFrame({"variant": variant, "epoch": epochs, "val_qwk": mean}))
            axes.plot(epochs, mean, color=look.colour, linestyle=look.dash)
        _epochs(axes)
        axes.set_ylabel("validation QWK")
        axes.set_title(title)
        legend = figure.legend(
            axes.lines, map(str, range(len(runs))), loc="outside lower left", ncols=2, handlelength=1.6
        )
        for text, variant in zip(legend.get_texts(), runs, strict=True):  # a label that starts with _ would vanish
            text.set_text(looks[variant].label)
        return drawn(figure, pd.concat(means, ignore_index=True))


def _columns(history: Sequence[Mapping[str, Any]], *keys: str) -> list[np.ndarray]:
    return [np.array([np.nan if line[key] is None else line[key] for line in history], float) for key in keys]


def _epochs(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.grid(axis="y")
    axes.set_xlabel("epoch")
