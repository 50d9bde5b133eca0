"""Networks at the paper's sizes: Xception forward and in training, its memory, the U-Net and the LSTM."""

from __future__ import annotations

import dataclasses
import functools
import importlib
from collections.abc import Callable, Iterator, Mapping

import jax
import numpy as np

from ordinal_blast.bench import machine, operations, ours, processes, tried
from ordinal_blast.bench.ours import Example
from ordinal_blast.bench.work import OURS, TORCH, Contender, Ready, Sample, Target, Work
from ordinal_blast.models import count_parameters
from ordinal_blast.settings import NetworkSettings

GRADES = {"icm": 3, "te": 3}
RUNTIMES = ("ONNX Runtime", "OpenVINO")  # on a CPU
LARGE = 128  # images of a batch that fills an accelerator, beside the paper's
_FORWARD = (
    Target("1.3 × the best PyTorch", 1.3, TORCH),
    Target("1.1 × ONNX Runtime and OpenVINO", 1.1, RUNTIMES),
    Target("75 % of the matrix limit", 0.75, measure="limit"),
)
_MEGABYTES = "resident at most, of a process that calls the step four times, libraries included"


def works(quick: bool) -> Iterator[Work]:
    """The rows; quick: the demo's networks and sizes."""
    config, side = ("demo", 48) if quick else ("paper", 224)
    many = (LARGE,) if not (quick or machine.on_cpu()) else ()
    for batch in (1, 8, *(() if quick else (30,)), *many):
        yield _xception_forward(config, batch, side)
    for batch in (8, *(() if quick else (24,)), *many):
        yield _xception_step(config, batch, side)
    if machine.on_cpu():  # the memory of a process is that of the device
        for batch in (8,) if quick else (8, 24):
            yield _memory(config, batch, side)
    yield _unet_step(config, 16, 32 if quick else 64)
    yield _lstm_step(config, 32, *((8, 96) if quick else (30, 2048)))


def images(count: int, side: int, channels: int = 3) -> np.ndarray:
    """Random images uint8 `[count, side, side, channels]`."""
    return np.random.default_rng(0).integers(0, 256, (count, side, side, channels), np.uint8)


def peers(module: str, function: str, *arguments: object) -> Contender:
    """A function of a file of `peers`, which is imported when its turn comes."""

    def ready() -> Ready:
        called: Callable[..., Ready] = getattr(importlib.import_module(f"ordinal_blast.bench.peers.{module}"), function)
        return called(*(argument() if callable(argument) else argument for argument in arguments))

    return ready


def in_torch(function: str, *arguments: object) -> dict[str, Contender]:
    """A function of `torch_peers` in every layout."""
    return {layout: peers("torch_peers", function, layout, *arguments) for layout in TORCH}


def sample_of(example: Callable[[], Example]) -> Callable[[], Sample]:
    """What peers take of an example, once somebody asks for it."""
    return lambda: example().sample


def _networks(example: Callable[[], Example], function: str, steps: int = 1) -> dict[str, Contender]:
    """Ours, PyTorch in every layout and Keras; function: "forward" or "step", ours so many in a call."""
    return {
        OURS: lambda: ours.forward(example()) if function == "forward" else ours.step_of(example(), steps),
        **in_torch(function, sample_of(example)),
        "Keras": peers("keras_peers", function, sample_of(example)),
    }


def _counted(network: NetworkSettings, shape: tuple[int, ...]) -> tuple[float, int]:
    """Operations of one example, and how many parameters."""
    module = ours.backbone(network)
    variables = jax.eval_shape(lambda: module.init(jax.random.key(0), np.zeros((1, *shape), np.float32), train=False))
    return operations.of(module, shape), count_parameters(variables)[0]


def _xception_forward(config: str, batch: int, side: int) -> Work:
    network = ours.section(config, "cnn")
    example = functools.cache(lambda: ours.graded(network, images(batch, side), GRADES))
    counted, parameters = _counted(network, (side, side, 3))
    runtimes = {
        "ONNX Runtime": peers("runtime_peers", "onnx", sample_of(example)),
        "OpenVINO": peers("runtime_peers", "openvino", sample_of(example)),
    }
    runtimes = runtimes if machine.on_cpu() else {}
    return Work(
        f"xception-forward-{batch}",
        f"Xception forward, {batch} × {side} × {side} × 3",
        {**_networks(example, "forward"), **runtimes},
        _FORWARD,
        batch * counted,
        4.0 * parameters,
        rounds=_rounds(batch),
        tried=tried.FORWARD,
    )


def _xception_step(config: str, batch: int, side: int) -> Work:
    network = ours.section(config, "cnn")
    example = functools.cache(lambda: ours.graded(network, images(batch, side), GRADES))
    return _step(
        f"xception-step-{batch}",
        f"Xception training step, {batch} × {side} × {side} × 3",
        network,
        (Target("1.2 × the best PyTorch layout", 1.2, TORCH),),
        (batch, side, side, 3),
        _networks(example, "step", ours.steps(config, "cnn")),
        limits=tried.STEP,
    )


def _unet_step(config: str, batch: int, side: int) -> Work:
    network = ours.section(config, "cropper")
    example = functools.cache(lambda: ours.segmented(network, images(batch, side)))
    target = Target("1.1 × PyTorch", 1.1, TORCH)
    title = f"U-Net cropper training step, {batch} × {side} × {side} × 3"
    contenders = _networks(example, "step", ours.steps(config, "cropper"))
    del contenders["Keras"]
    return _step("unet-step", title, network, (target,), (batch, side, side, 3), contenders, limits=tried.UNET)


def _lstm_step(config: str, batch: int, frames: int, features: int) -> Work:
    network = ours.section(config, "rnn")
    sequences = np.random.default_rng(0).standard_normal((batch, frames, features), np.float32)
    example = functools.cache(lambda: ours.graded(network, sequences, GRADES))
    contenders = {
        OURS: lambda: dataclasses.replace(ours.step_of(example(), ours.steps(config, "rnn")), value=None),
        "torch.nn.LSTM": peers("torch_peers", "step", TORCH[1], sample_of(example)),
        "Keras": peers("keras_peers", "step", sample_of(example)),
    }
    target = Target("1.3 × torch.nn.LSTM", 1.3, ("torch.nn.LSTM",))
    title = f"LSTM training step, {batch} × {frames} × {features}"
    note = (
        "torch.nn.LSTM has logistic gates and one mask of dropout on its inputs; ours, as in Keras 2, hard sigmoids "
        "and a mask for each gate on inputs and states."
    )
    return _step("lstm-step", title, network, (target,), (batch, frames, features), contenders, note)


def _step(
    name: str,
    title: str,
    network: NetworkSettings,
    targets: tuple[Target, ...],
    shape: tuple[int, ...],
    contenders: Mapping[str, Contender],
    note: str = "",
    limits: str = "",
) -> Work:
    counted, parameters = _counted(network, shape[1:])
    return Work(
        name,
        title,
        contenders,
        targets,
        operations.TRAINING * shape[0] * counted,
        operations.ADAM_BYTES * parameters,
        rounds=_rounds(shape[0]),
        note=note,
        tried=limits,
    )


def _rounds(batch: int) -> int:
    """Of large batches of images three are enough: a call takes seconds."""
    return 3 if batch in (24, 30) else 99


def _memory(config: str, batch: int, side: int) -> Work:
    """Peak memory of the step; each contender is a process."""

    def contender(code: str) -> Contender:
        program = (
            "from ordinal_blast.bench import network_works as works, ours\n"
            f"example = ours.graded(ours.section({config!r}, 'cnn'), works.images({batch}, {side}), works.GRADES)\n"
            f"{code}\nfor _ in range(3): jax.block_until_ready(ready.call())"
        )
        return lambda: Ready(lambda: processes.megabytes(f"import jax\n{program}"))

    torch = "from ordinal_blast.bench.peers import torch_peers\nready = torch_peers.step({layout!r}, example.sample)"
    return Work(
        f"xception-memory-{batch}",
        f"Xception training step, {batch} × {side} × {side} × 3: memory",
        {
            OURS: contender(f"ready = ours.step_of(example, {ours.steps(config, 'cnn')})"),
            TORCH[0]: contender(torch.format(layout=TORCH[0])),
        },
        unit="MB",
        alone=True,
        rounds=1,
        note=f"Megabytes {_MEGABYTES}. The processes of PyTorch hold JAX too, which makes their weights.",
    )
