"""How far frames that are drawn small are from frames that are drawn as recorded and shrunk, and both from real ones.

`python -m ordinal_blast.embryo.fidelity --out reports/simulator --real STORK/Images` draws embryos both ways, trains a
cropper and a grader on either way and tests them on both, compares grey levels, slopes and spectra with real frames of
an EmbryoScope (a folder of images, the focal plane between underscores in their names), and writes the report.
"""

from __future__ import annotations

import argparse
import itertools
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from PIL import Image

from ordinal_blast import objectives
from ordinal_blast.data import images
from ordinal_blast.data.batches import Examples, fixed
from ordinal_blast.embryo.cropping import dice
from ordinal_blast.embryo.segmentation import DiceLoss, Segmenter, shrink
from ordinal_blast.embryo.simulator import INSTRUMENTS, Simulation, draw, masks, noise, population, wells
from ordinal_blast.embryo.windows import area_and_centre, crop, resize
from ordinal_blast.models import networks
from ordinal_blast.models.heads import GradingNetwork
from ordinal_blast.settings import NetworkSettings, OptimizerSettings, ScheduleSettings, TrainingSettings
from ordinal_blast.storage import atomic
from ordinal_blast.training import loop, optimizer, parallel
from ordinal_blast.training.problem import GradingLoss, Problem

SIDE, CROP, SMALL = 280, 224, 64  # pixels of a drawn frame, of its crop, and of what the cropper reads
PLANES = (-45.0, 0.0, 45.0)
WAYS = ("drawn", "shrunk")
BANDS = ((2, 4), (4, 8), (8, 16), (16, 32), (32, 64), (64, 112))  # waves across a frame
BINS = (0, 16, 32, 64, 96, 128, 160, 192, 224, 256)
SHEET = 4  # frames in a row of the sheet
SEEDS = 3  # of a grader's training
SIMULATED = 100  # frames beside the real ones


class Pictures(NamedTuple):
    """The same wells by both ways: frames uint8 `[N, SIDE, SIDE, 3]` of every way, and masks bool `[N, SIDE, SIDE]`."""

    frames: Mapping[str, np.ndarray]
    masks: np.ndarray


def pictures(simulation: Simulation, people: Mapping[str, np.ndarray], hours: np.ndarray) -> Pictures:
    """Each well at its hour, with the noise of its camera: drawn at SIDE, and drawn as recorded, then shrunk."""
    frames: dict[str, list[np.ndarray]] = {way: [] for way in WAYS}
    inside = []
    for number, hour in enumerate(hours):
        row, at = {name: values[number] for name, values in people.items()}, np.asarray([hour], np.float32)
        instrument = INSTRUMENTS[row["instrument"]]
        focus = instrument.focused(np.asarray(PLANES))
        for way, side in zip(WAYS, (SIDE, instrument.side), strict=True):
            clean = draw(simulation.key, row, at, focus, side)
            seen = noise.noisy(clean, noise.level(instrument, side), noise.key(simulation.seed, number, hour, 0.0))
            frames[way].append(seen[0] if side == SIDE else np.asarray(shrink(seen, SIDE))[0])
        inside.append(masks(simulation.key, row, at, SIDE)[0])
    return Pictures({way: np.stack(one) for way, one in frames.items()}, np.stack(inside))


def crops(frames: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Windows around the true embryos, uint8 `[N, CROP, CROP, 3]`."""
    _, centre = area_and_centre(np.where(inside, 1.0, -1.0).astype(np.float32))
    return np.asarray(crop(frames, centre, CROP / SIDE, CROP))


def power(frames: np.ndarray) -> np.ndarray:
    """Mean power of frames `[N, H, H]` in every band that they have; a Hann window keeps the edges out."""
    side = frames.shape[1]
    window = np.hanning(side)[:, None] * np.hanning(side)[None]
    centred = frames - frames.mean(axis=(1, 2), keepdims=True)
    spectrum = np.abs(np.fft.fft2(centred * window[None])) ** 2
    waves = np.hypot(*np.meshgrid(np.fft.fftfreq(side) * side, np.fft.fftfreq(side) * side))
    return np.asarray([spectrum[:, (waves >= low) & (waves < high)].mean() for low, high in BANDS if high <= side / 2])


def looks(frames: np.ndarray) -> dict[str, float]:
    """Grey levels and slopes of frames uint8 `[N, SIDE, SIDE]`, means over frames; the centre is the middle 40 %."""
    grey, edge = frames.astype(float), round(0.3 * SIDE)
    centre = grey[:, edge:-edge, edge:-edge]
    down, across = np.gradient(grey, axis=(1, 2))
    return {
        "mean": grey.mean(),
        "s.d.": grey.std(axis=(1, 2)).mean(),
        "s.d. in the centre": centre.std(axis=(1, 2)).mean(),
        "slope down": np.abs(down).mean(),
        "slope across": np.abs(across).mean(),
    }


def taught(
    problem: Problem, inputs: np.ndarray, labels: Mapping[str, np.ndarray], epochs: int, seed: int
) -> Callable[..., Any]:
    """The problem trained on all but the last fifth of these, which choose the epoch; a function from images to what it
    says.
    """
    last = len(inputs) - len(inputs) // 5

    def part(rows: slice) -> Examples:
        count = len(inputs[rows])
        weights = {name: np.ones(count, np.float32) for name in labels}
        return Examples(np.arange(count), fixed(inputs[rows]), {n: x[rows] for n, x in labels.items()}, weights)

    training, devices = TrainingSettings(batch_size=16, epochs=epochs), tuple(jax.local_devices()[:1])
    train, val = part(slice(last)), part(slice(last, None))
    fitted = loop.fit(problem, train, val, training, seed=seed, directory=None, devices=devices, name="fidelity")
    return lambda seen: parallel.predict(problem, fitted.variables, seen.__getitem__, len(seen), 128, devices)


def _problem(model: Any, loss: Any) -> Problem:
    adam = optimizer.make(OptimizerSettings(learning_rate=2e-3), ScheduleSettings(), TrainingSettings(), "fidelity")
    return Problem(model, loss, adam)


def croppers(simulation: Simulation, count: int, epochs: int) -> dict[tuple[str, str], float]:
    """Dice on the last fifth of so many wells, by the way that a cropper learnt and by that on which it is tested."""
    seen = pictures(simulation, *wells(simulation, count, 0.71, 0.5))
    small = {way: np.asarray(shrink(frames, SMALL)) for way, frames in seen.frames.items()}
    true = np.asarray(resize(seen.masks[..., None].astype(np.float32), SMALL))[..., 0] > 0.5
    taught_on, scores = count - count // 5, {}
    model = Segmenter(networks.make(NetworkSettings(name="unet", options={"widths": (8, 16, 32)}), "network"))
    for way in WAYS:
        labels = {"mask": true[:taught_on].astype(np.float32)}
        say = taught(_problem(model, DiceLoss()), small[way][:taught_on], labels, epochs, 0)
        for other in WAYS:
            scores[way, other] = float(np.mean(dice(say(small[other][taught_on:])["mask"] > 0, true[taught_on:])))
    return scores


def graders(simulation: Simulation, count: int, epochs: int) -> dict[tuple[str, str, str], float]:
    """Accuracy at true grades of the last quarter of so many embryos: by task, way of learning and way of testing."""
    people = {name: values[:count] for name, values in population(simulation).items()}
    seen = pictures(simulation, people, people["tA"])
    small = {way: np.asarray(shrink(crops(frames, seen.masks), SMALL)) for way, frames in seen.frames.items()}
    grades = {task: people[f"{task}_true"] for task in ("icm", "te")}
    heads = {task: objectives.get("cross_entropy", num_classes=3) for task in grades}
    options = {"stem": (16, 32), "entry": (32, 64), "middle": 1, "exit": (64, 96, 96, 96), "momentum": 0.9}
    backbone = networks.make(NetworkSettings(name="xception", options=options), "network")
    model, loss = GradingNetwork(backbone, tuple(heads.items())), GradingLoss(tuple(heads.items()))
    taught_on, scores = count - count // 4, dict.fromkeys(itertools.product(grades, WAYS, WAYS), 0.0)
    for way, seed in itertools.product(WAYS, range(SEEDS)):
        learnt = {task: labels[:taught_on] for task, labels in grades.items()}
        say = taught(_problem(model, loss), small[way][:taught_on], learnt, epochs, seed)
        for other in WAYS:
            outputs = say(small[other][taught_on:])
            for task, labels in grades.items():
                right = np.mean(outputs[task].argmax(-1) == labels[taught_on:])
                scores[task, way, other] += float(right) / SEEDS
    return scores


def real_frames(folder: Path) -> np.ndarray:
    """The frames of a folder in the focal plane 0 that its names state, uint8 `[N, SIDE, SIDE]`."""
    paths = sorted(path for path in folder.rglob("*") if "_0_" in path.name and path.suffix.lower() in images.SUFFIXES)
    return np.stack([images.fit(images.read(path), (SIDE, SIDE, 1)).pixels[..., 0] for path in paths])


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    shown = [[f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [list(head), ["---"] * len(head), *shown]) + "\n"


def _pixels(simulation: Simulation, count: int) -> str:
    people = {name: values[:count] for name, values in population(simulation).items()}
    seen = pictures(simulation, people, people["tA"])
    rows = []
    for what, of in (
        (f"frame, {SIDE}", lambda frames: frames),
        (f"crop, {CROP}", lambda frames: crops(frames, seen.masks)),
        (f"cropper, {SMALL}", lambda frames: np.asarray(shrink(frames, SMALL))),
    ):
        drawn, shrunk = (of(seen.frames[way]).astype(float) for way in WAYS)
        ratios = power(drawn[..., 1]) / power(shrunk[..., 1])
        rows.append([what, float(np.sqrt(np.mean((drawn - shrunk) ** 2))), *map(float, ratios)])
    width = max(map(len, rows))
    head = ["image", "rms", *(f"{low}–{high}" for low, high in BANDS)]
    return _table(head, [row + ["–"] * (width - len(row)) for row in rows])


def _looks(simulation: Simulation, real: np.ndarray, out: Path) -> str:
    people = population(simulation)
    rows = np.flatnonzero(people["instrument"] == 0)[:SIMULATED]
    chosen = {name: values[rows] for name, values in people.items()}
    ours = pictures(simulation, chosen, chosen["tA"]).frames["drawn"][..., 1]
    kinds = {"real": real, "simulated": ours}
    measures = {kind: looks(frames) for kind, frames in kinds.items()}
    text = _table(["grey levels", *kinds], [[name, *(measures[kind][name] for kind in kinds)] for name in looks(real)])
    shares = {kind: np.histogram(frames, BINS)[0] / frames.size for kind, frames in kinds.items()}
    bins = [f"{low}–{high - 1}" for low, high in itertools.pairwise(BINS)]
    text += "\n" + _table(["share of pixels", *bins], [[kind, *map(float, one)] for kind, one in shares.items()])
    ratio = power(ours.astype(float)) / power(real.astype(float))
    text += "\n" + _table(
        ["power, simulated over real", *(f"{low}–{high}" for low, high in BANDS)], [["", *map(float, ratio)]]
    )
    sheet = [np.concatenate(list(frames[:SHEET]), axis=1) for frames in (real, ours, real[-SHEET:], ours[SHEET:])]
    with atomic(out / "sheet.jpg") as stream:
        Image.fromarray(np.concatenate(sheet)).save(stream, "JPEG", quality=80)
    return text + "\n![Rows 1 and 3 real, rows 2 and 4 simulated](sheet.jpg)\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m ordinal_blast.embryo.fidelity", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the report, such as reports/simulator")
    parser.add_argument("--real", type=Path, help="folder of real frames, such as Images of STORK")
    parser.add_argument("--credit", default="", help="who made the real frames, and under which licence")
    parser.add_argument("--embryos", type=int, default=1200, help="that graders learn from and are tested on")
    parser.add_argument("--wells", type=int, default=400, help="that croppers learn from and are tested on")
    parser.add_argument(
        "--epochs", type=int, default=12, help="of a grader; a cropper has three times as many (%(default)s)"
    )
    options = parser.parse_args(arguments)
    said = sys.argv[1:] if arguments is None else arguments
    simulation = Simulation(seed=1)
    options.out.mkdir(parents=True, exist_ok=True)
    by_dice = croppers(simulation, options.wells, 3 * options.epochs)
    by_grade = graders(simulation, options.embryos, options.epochs)
    tested = options.embryos // 4
    taught_on = options.wells - options.wells // 5
    text = f"""# Frames drawn small, as recorded, and real

`python -m ordinal_blast.embryo.fidelity {shlex.join(said)}`

A frame of {SIDE} pixels is drawn at once. Beside it stands the same frame as its instrument records it (500 or 800
pixels), drawn and then shrunk. Both have the noise of their camera, another draw in each.

## Pixels

24 embryos at tA, both instruments: rms difference in grey levels, noise included, and power drawn over power shrunk, by
waves across the image, in the middle focal plane.

{_pixels(simulation, 24)}
## A cropper

Dice on {options.wells // 5} wells that chose nothing, empty ones among them; taught on {taught_on}.

"""
    text += _table(
        ["taught on", *(f"tested on {way}" for way in WAYS)], [[w, *(by_dice[w, o] for o in WAYS)] for w in WAYS]
    )
    text += f"""
## A grader

Accuracy at true grades of {tested} embryos, from crops of {SMALL} pixels; {options.embryos - tested} teach. Means of
{SEEDS} seeds; the standard error of one row by its examples is about {0.5 / tested**0.5:.2f}.

"""
    rows = [[task.upper(), w, *(by_grade[task, w, o] for o in WAYS)] for task in ("icm", "te") for w in WAYS]
    text += _table(["task", "taught on", *(f"tested on {way}" for way in WAYS)], rows)
    if options.real:
        real = real_frames(options.real)
        credit = f" ({options.credit})" if options.credit else ""
        text += f"""
## Beside real frames

{len(real)} real frames of an EmbryoScope in the focal plane 0{credit}, and {SIMULATED} simulated ones.

{_looks(simulation, real, options.out)}"""
    with atomic(options.out / "report.md") as stream:
        stream.write(text.encode())


if __name__ == "__main__":
    main()
