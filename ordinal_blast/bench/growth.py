"""How cost grows: time and memory against grades, batch, frames, pixels, seeds and examples, and the exponents."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import ordinal_blast
from ordinal_blast import objectives
from ordinal_blast.bench import drawn_studies, ours
from ordinal_blast.bench.drawn_studies import Drawn
from ordinal_blast.bench.network_works import GRADES, images
from ordinal_blast.evaluation import metrics
from ordinal_blast.models import LSTM, Xception
from ordinal_blast.settings import TrainingSettings

_REPEATS = 3


@dataclasses.dataclass(frozen=True)
class Growth:
    """Cost against one size: seconds, and megabytes of the compiled program, nothing where it is none.

    expected: the exponent p of cost ∝ size^p where the size is large, and `reason` for it.
    """

    name: str
    title: str
    axis: str
    expected: float
    reason: str
    sizes: Sequence[int]
    seconds: Sequence[float]
    megabytes: Sequence[float]

    @property
    def exponent(self) -> float:
        """Of time, fitted over the larger half of the sizes."""
        return fitted(self.sizes, self.seconds)

    @property
    def memory_exponent(self) -> float | None:
        """Of memory, fitted likewise."""
        return fitted(self.sizes, self.megabytes) if self.megabytes else None


def fitted(sizes: Sequence[int], costs: Sequence[float]) -> float:
    """The least-squares slope of log cost on log size over the larger half of the sizes, two at least."""
    last = max(2, -(-len(sizes) // 2))
    return float(np.polyfit(np.log(sizes[-last:]), np.log(costs[-last:]), 1)[0])


def growths(quick: bool, say: Callable[[str], None]) -> Iterator[Growth]:
    """Every curve in turn; quick: the smaller sizes."""
    for measured in (_grades, _batch, _frames, _pixels, _seeds, _examples, _predictions, _tested, _cells, _resumed):
        begun = time.perf_counter()
        growth = measured(quick)
        took = time.perf_counter() - begun
        say(f"  {growth.name}: exponent {growth.exponent:.2f}, expected {growth.expected:g}, after {took:.1f} s")
        yield growth


def _compiled(function: Callable[..., object], *arguments: object) -> tuple[float, float]:
    """Seconds of a call, the shortest of a few, and megabytes that the program holds beside its inputs."""
    program = jax.jit(function).lower(*arguments).compile()
    memory = program.memory_analysis()
    held = (memory.temp_size_in_bytes + memory.output_size_in_bytes) / 1e6 if memory else 0.0
    return _shortest(lambda: jax.block_until_ready(program(*arguments))), held


def _shortest(call: Callable[[], object]) -> float:
    call()
    times = []
    for _ in range(_REPEATS):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return min(times)


def _curve(
    name: str,
    title: str,
    axis: str,
    expected: tuple[float, str],
    sizes: Sequence[int],
    cost: Callable[[int], tuple[float, float]],
) -> Growth:
    costs = [cost(size) for size in sizes]
    megabytes = [held for _, held in costs]
    seconds = [spent for spent, _ in costs]
    return Growth(name, title, axis, *expected, sizes, seconds, megabytes if all(megabytes) else [])


def _grades(quick: bool) -> Growth:
    count = 256 if quick else 1024  # above 32 MB the C library gives memory back after every call

    def cost(k: int) -> tuple[float, float]:
        loss = objectives.get("ordinal_cross_entropy", num_classes=k).loss
        outputs = jax.random.normal(jax.random.key(0), (count, k))
        return _compiled(jax.value_and_grad(loss), outputs, jnp.arange(count) % k)

    title = f"Ordinal cross-entropy and its gradient, {count:,} examples"
    expected = 1.0, "every example has K outputs"
    return _curve("grades", title, "grades K", expected, (64, 128, 256, 512), cost)


def _gradient(network: Xception | LSTM, inputs: np.ndarray) -> tuple[float, float]:
    """Of a mean square of the features, in training."""
    x = jnp.asarray(inputs)
    variables = jax.jit(lambda: network.init(jax.random.key(0), x[:1], train=False))()
    keys = jax.random.split(jax.random.key(1), len(x))

    def loss(params: Mapping[str, object]) -> jax.Array:
        tree = {**variables, "params": params}
        features, _ = network.apply(tree, x, train=True, keys=keys, mutable=["batch_stats"])
        return jnp.square(features).mean()

    return _compiled(jax.grad(loss), variables["params"])


def _small() -> Xception:
    network = ours.backbone(ours.section("demo", "cnn"))
    assert isinstance(network, Xception)
    return network.clone(axis_name=None)


def _batch(quick: bool) -> Growth:
    sizes = (8, 16, 32) if quick else (16, 32, 64, 128)
    expected = 1.0, "every image costs the same"
    title = "Gradients of the demo's CNN, 48 × 48 × 3"
    return _curve("batch", title, "images of a batch", expected, sizes, lambda b: _gradient(_small(), images(b, 48)))


def _frames(quick: bool) -> Growth:
    width = 2048 if not quick else 96

    def cost(frames: int) -> tuple[float, float]:
        sequences = np.random.default_rng(0).standard_normal((32, frames, width), np.float32)
        return _gradient(LSTM(), sequences)

    sizes = (30, 60, 120) if quick else (30, 60, 120, 240)
    expected = 1.0, "every frame costs the same"
    return _curve("frames", f"Gradients of the LSTM, 32 × T × {width}", "frames T", expected, sizes, cost)


def _pixels(quick: bool) -> Growth:
    sizes = (48, 96, 192) if quick else (48, 96, 192, 384)
    expected = 2.0, "cost goes with the area"
    title = "Gradients of the demo's CNN, 8 images"
    return _curve(
        "pixels", title, "pixels of a side", expected, sizes, lambda side: _gradient(_small(), images(8, side))
    )


def _seeds(quick: bool) -> Growth:
    """A grid through the whole of a study: plan, cells, checkpoints, records, without the report."""
    rng = np.random.default_rng(0)
    data = dict(x=rng.standard_normal((240, 8), np.float32), y=rng.integers(0, 3, 240), grades=("a", "b", "c"))
    config = dict(name="growth", objective="cross_entropy", grader=dict(training=dict(epochs=2, checkpoint_every=2)))

    def cost(seeds: int) -> tuple[float, float]:
        with tempfile.TemporaryDirectory() as folder:
            begun = time.perf_counter()
            ordinal_blast.ablate(config, ["cross_entropy"], seeds=seeds, data=data, workdir=folder)
            return time.perf_counter() - begun, 0.0

    sizes = (1, 2) if quick else (2, 4, 8, 16)
    expected = 1.0, "at most: cells that are trained as one program cost less"
    return _curve("grid", "A grid of the MLP, 240 examples, 2 epochs", "seeds", expected, sizes, cost)


def _examples(quick: bool) -> Growth:
    """An epoch of the demo's CNN; the inputs are what they are, the program is the same."""
    network, training = ours.section("demo", "cnn"), TrainingSettings(batch_size=32, epochs=1)
    val = ours.graded(network, images(32, 48), GRADES)

    def cost(count: int) -> tuple[float, float]:
        call = ours.epoch(ours.graded(network, images(count, 48), GRADES), val, training).call
        return _shortest(call), 0.0

    sizes = (64, 128) if quick else (128, 256, 512, 1024)
    expected = 1.0, "every example costs the same"
    return _curve("examples", "An epoch of the demo's CNN, data included", "training examples", expected, sizes, cost)


def _predictions(quick: bool) -> Growth:
    rng = np.random.default_rng(0)

    def cost(count: int) -> tuple[float, float]:
        labels, probs = rng.integers(0, 5, count), rng.dirichlet(np.ones(5), count)
        grades = probs.argmax(1)
        return _shortest(lambda: metrics.summary(labels, grades, num_classes=5, probs=probs)), 0.0

    sizes = (1000, 10_000) if quick else (10_000, 100_000, 1_000_000)
    expected = 1.0, "counts and sums; sorting for ranks adds a logarithm"
    return _curve("predictions", "Every measure of a summary, five grades", "predictions", expected, sizes, cost)


def _reported(study: Drawn) -> tuple[float, float]:
    """Seconds of a report of a drawn study, reading included."""
    with tempfile.TemporaryDirectory() as folder:
        drawn_studies.write(study, Path(folder))
        begun = time.perf_counter()
        ordinal_blast.load(folder).report(Path(folder) / "report")
        return time.perf_counter() - begun, 0.0


def _tested(quick: bool) -> Growth:
    sizes = (1000, 4000) if quick else (10_000, 100_000, 1_000_000)
    expected = 1.0, "counts, sums and sorts of what is said of every example; figures draw no more than is seen"
    title = "A report, 2 variants of 3 seeds, five grades"
    return _curve("report", title, "test examples of a cell", expected, sizes, lambda n: _reported(Drawn(2, 3, n, 5)))


def _cells(quick: bool) -> Growth:
    sizes = (4, 8) if quick else (20, 200, 2000)
    expected = 1.0, "every cell is read and judged; figures of many variants show some"
    title = "A report, 500 test examples a cell, 20 seeds"

    def cost(cells: int) -> tuple[float, float]:
        seeds = 4 if quick else 20
        return _reported(Drawn(cells // seeds, seeds, 500))

    return _curve("cells-report", title, "cells", expected, sizes, cost)


def _resumed(quick: bool) -> Growth:
    """The same command again, of a grid with nothing left to do."""
    sizes = (4, 8) if quick else (20, 200, 2000)
    expected = 1.0, "every cell is planned, checked and read"

    def cost(cells: int) -> tuple[float, float]:
        study = Drawn(cells // 4, 4, 500)
        with tempfile.TemporaryDirectory() as folder:
            drawn_studies.write(study, Path(folder))
            begun = time.perf_counter()
            with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
                ordinal_blast.ablate(**study.asked, workdir=folder)
            return time.perf_counter() - begun, 0.0

    cost(sizes[0])  # what is imported and traced once
    return _curve("cells-resume", "A finished grid asked for again", "cells", expected, sizes, cost)
