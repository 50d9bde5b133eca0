"""What a study does around its networks: epochs with their data, an embryo from frames to grades, rates of data."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import cast

import numpy as np

from ordinal_blast.bench import operations, ours, tried
from ordinal_blast.bench.network_works import GRADES, images, in_torch, peers, sample_of
from ordinal_blast.bench.ours import Example
from ordinal_blast.bench.work import OURS, TORCH, Ready, Target, Work, per
from ordinal_blast.embryo import sequences
from ordinal_blast.embryo.cropping import EmbryoFinder
from ordinal_blast.embryo.crops import Crops
from ordinal_blast.embryo.simulator import Simulation, draw, population
from ordinal_blast.models import GradingNetwork
from ordinal_blast.settings import TrainingSettings
from ordinal_blast.study.grader import Features
from ordinal_blast.training import parallel
from ordinal_blast.training.problem import Problem

_EPOCHS = 2  # of one call
_PLANES = (-45.0, 0.0, 45.0)


def works(quick: bool) -> Iterator[Work]:
    """The rows; quick: fewer examples and smaller networks."""
    yield _epoch("epoch-demo", "the demo's CNN", "demo", (96 if quick else 480, 96 if quick else 120), 48, GRADES)
    retina = (128 if quick else 1080, 64 if quick else 120)
    yield _epoch("epoch-retinamnist", "RetinaMNIST's network", "retinamnist", retina, 28, {"grade": 5})
    yield _embryo("demo", 8, 64, 48) if quick else _embryo("paper", 30, 500, 224)
    yield _loader(240 if quick else 1200, 48 if quick else 224)
    yield _simulator("simulator", 2 if quick else 39, 64 if quick else 280, 3)
    yield _simulator("simulator-recording", 2 if quick else 4, 96 if quick else 500, 7)


def _epoch(name: str, what: str, config: str, counts: tuple[int, int], side: int, grades: dict[str, int]) -> Work:
    """An epoch of a small network: random images of the shape, no augmentation on either side."""
    network, size = ours.section(config, "cnn"), ours.stage_of(config, "cnn").training.batch_size
    training = TrainingSettings(batch_size=size, epochs=_EPOCHS)
    train, val = (
        functools.cache(functools.partial(ours.graded, network, images(count, side), grades)) for count in counts
    )
    steps = counts[0] // size
    counted = operations.of(ours.backbone(network), (side, side, 3))
    return Work(
        name,
        f"An epoch of {what}, data included: {counts[0]:,} and {counts[1]:,} × {side} × {side} × 3, batches of {size}",
        {
            OURS: lambda: ours.epoch(train(), val(), training),
            **in_torch("epoch", sample_of(train), sample_of(val), size, _EPOCHS),
        },
        (Target("1.5 × PyTorch with its DataLoader", 1.5, TORCH),),
        counted * (operations.TRAINING * steps * size + counts[1]),
        tried=tried.EPOCH,
    )


def _embryo(config: str, frames: int, side: int, size: int) -> Work:
    """One embryo by networks of random weights, and by the CNN alone on so many crops."""
    cnn, rnn, unet = (ours.section(config, stage) for stage in ("cnn", "rnn", "cropper"))
    shrunk = ours.stage_of(config, "cropper").size
    crops = functools.cache(lambda: ours.graded(cnn, images(frames, size), GRADES))
    counted = frames * (
        operations.of(ours.backbone(cnn), (size, size, 3)) + operations.of(ours.backbone(unet), (shrunk, shrunk, 3))
    )

    def whole() -> Ready:
        masks = ours.segmented(unet, images(2, shrunk))
        features = crops().variables["params"]["icm_head"]["kernel"].shape[0]
        lstm = ours.graded(rnn, np.zeros((2, frames, features), np.float32), GRADES)
        return Ready(functools.partial(_graded, images(frames, side), masks, crops(), lstm, shrunk, size))

    return Work(
        "one-embryo",
        f"One embryo: {frames} frames of {side} × {side} × 3 to grades",
        {OURS: whole, "the CNN alone": lambda: ours.forward(crops())},
        (Target("at most 1.15 × the CNN's forward pass on as many frames", 1 / 1.15, ("the CNN alone",)),),
        counted,
        float(frames * side * side * 3),
        note="Found by the U-Net, cropped, seen by the CNN, graded by the LSTM. Files are read elsewhere.",
        tried=tried.EMBRYO,
    )


def _graded(
    frames: np.ndarray, masks: Example, cnn: Example, lstm: Example, shrunk: int, size: int
) -> dict[str, np.ndarray]:
    """Frames uint8 `[T, H, W, F]` of one embryo to a grade a task, as `grade` does it."""
    finder = EmbryoFinder(Problem(masks.problem.model), masks.variables, _PLANES, shrunk, ours.devices())
    pixels, areas = finder.crops(frames, _PLANES, share=0.8, size=size)
    hours = np.arange(len(frames), dtype=np.float32) + 90
    crops = Crops(lambda rows, slots, planes: pixels[slots], areas[None], hours, _PLANES, _PLANES)
    features = Features(cast(GradingNetwork, cnn.problem.model), cnn.variables, ours.devices())
    read = sequences.of_crops(crops, features, len(hours))
    network = cast(GradingNetwork, lstm.problem.model)
    outputs = parallel.predict(Problem(network), lstm.variables, read.__getitem__, 1, 1, ours.devices())
    return {task: np.asarray(objective.predict(outputs[task])) for task, objective in network.heads}


def _loader(count: int, side: int) -> Work:
    """Batches of crops, an epoch of them: what the CNN eats."""
    stored = functools.cache(lambda: images(count, side))
    return Work(
        "loader",
        f"A batch of 24 × {side} × {side} × 3 from {count:,} images in memory, shuffled",
        {OURS: lambda: ours.loader(stored(), 24, 2), "DataLoader": peers("torch_peers", "loader", stored, 24)},
        bytes=2.0 * 24 * side * side * 3,
    )


def _simulator(name: str, frames: int, side: int, planes: int) -> Work:
    """Frames of a simulated embryo in so many focal planes."""
    hours, focus = 90.0 + np.arange(frames, dtype=np.float32), 15.0 * np.arange(planes)

    def ready() -> Ready:
        simulation = Simulation(embryos=1)
        row = {name: values[0] for name, values in population(simulation).items()}
        return Ready(per(lambda: draw(simulation.key, row, hours, focus, side), frames))

    return Work(name, f"A simulated frame of {side} × {side} × {planes}", {OURS: ready}, rounds=2)
