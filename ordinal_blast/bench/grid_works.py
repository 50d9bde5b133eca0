"""Whole commands in processes of their own: grids, start-up, the second start."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from ordinal_blast.bench import processes, tried
from ordinal_blast.bench.work import OURS, Ready, Target, Work
from ordinal_blast.errors import UserError
from ordinal_blast.storage import write_npz

_ONE_BY_ONE = "stack=1"
_OBJECTIVES = ("cross_entropy", "ordinal_cross_entropy", "binary_decomposition", "thresholded_regression")
_GRID = """
from ml_collections import ConfigDict
def get_config():
    return ConfigDict(dict(
        name="features", chain=("rnn",), tasks=("grade",), objective="cross_entropy",
        data=dict(source="arrays", root={root!r}, options=dict(grades=("0", "1", "2"))),
        rnn=dict(network=dict(name="lstm"), training=dict(epochs={epochs}, batch_size=32, checkpoint_every={epochs})),
    ))
"""
_ABLATE = "import ordinal_blast; ordinal_blast.ablate({config!r}, {variants!r}, seeds={seeds}, workdir={workdir!r})"
_LOOKS = """
import sys
from ordinal_blast import cli
try:
    cli.main(["--help"])
except SystemExit:
    print("jax" in sys.modules)
"""


def works(quick: bool) -> Iterator[Work]:
    """The rows; quick: without those that take minutes, fewer cells of fewer epochs."""
    yield _help()
    yield _features(seeds=2, shape=(8, 96), count=128, epochs=2) if quick else _features()
    if not quick:
        yield _second_start()
        yield _tables()


def _help() -> Work:
    def ready() -> Ready:
        if processes.run([sys.executable, "-c", _LOOKS]).text.split()[-1] == "True":
            raise UserError("ordinal-blast --help imports JAX")
        return Ready(lambda: processes.run([*processes.CLI, "--help"]).seconds)

    return Work(
        "help",
        "ordinal-blast --help",
        {OURS: ready},
        (Target("less than .3 s, without JAX", 0.3, measure="seconds", backend=""),),
        unit="s",
        alone=True,
    )


def _second_start() -> Work:
    """The same command with an empty cache of compiled programs, and again: RetinaMNIST's network, one epoch."""

    def train(cache: str) -> float:
        with tempfile.TemporaryDirectory() as folder:
            return _train(_photographs(Path(folder)), Path(folder) / "run", {"JAX_COMPILATION_CACHE_DIR": cache})

    def first() -> float:
        with tempfile.TemporaryDirectory() as cache:
            return train(cache)

    def ready() -> Ready:
        cache = tempfile.TemporaryDirectory()
        train(cache.name)
        return Ready(lambda: train(cache.name))

    return Work(
        "second-start",
        "The second start of a run: RetinaMNIST's network, an epoch of 64 images",
        {OURS: ready, "the first start": lambda: Ready(first)},
        (Target("ahead of the first start", 1.0, ("the first start",), backend=""),),
        unit="s",
        alone=True,
        rounds=2,
    )


def _features(seeds: int = 10, shape: tuple[int, int] = (30, 2048), count: int = 320, epochs: int = 10) -> Work:
    """A grid of the RNN on features that are there already; a few trainings stand for all of them."""
    cells = len(_OBJECTIVES) * seeds
    apart = f"{cells} processes"

    def whole() -> float:
        with _arrays(shape, count, epochs) as config:
            code = _ABLATE.format(config=config, variants=_OBJECTIVES, seeds=seeds, workdir=f"{config}.run")
            return processes.run([sys.executable, "-c", code]).seconds

    def one_by_one() -> float:
        with _arrays(shape, count, epochs) as config:
            _train([f"--config={config}"], Path(f"{config}.first"))  # what stands in the cache of the others
            times = [
                _train([f"--config={config}", f"--config.objective.name={name}"], Path(f"{config}.{name}"))
                for name in _OBJECTIVES
            ]
            return cells * float(np.mean(times))

    return Work(
        "grid-rnn",
        f"A grid of {len(_OBJECTIVES)} objectives × {seeds} seeds: the LSTM on {count} × {shape[0]} × {shape[1]} "
        f"features, {epochs} epochs",
        {OURS: lambda: Ready(whole), apart: lambda: Ready(one_by_one)},
        tuple(
            Target(f"at most {most} of the time of {cells} separate train processes", bound, (apart,), backend=backend)
            for most, bound, backend in ((".4", 2.5, "cpu"), (".1", 10.0, "gpu"))
        ),
        unit="s",
        alone=True,
        rounds=1,
        note=f"Of the separate processes one an objective was run, and its time taken {seeds} times.",
        tried=tried.GRID,
    )


def _tables(holdouts: int = 30) -> Work:
    """Many objectives on the hold-outs of a table like ERA; one by one by what a hold-out more costs."""

    def timed(seeds: int, changes: Sequence[str] = ()) -> float:
        with tempfile.TemporaryDirectory() as folder:
            root = _era(Path(folder) / "ERA", seeds)
            code = (
                "import ordinal_blast\nfrom ordinal_blast import settings\n"
                f"config = settings.load('era', settings.parse_overrides({_options(root, changes)!r}))\n"
                f"ordinal_blast.ablate(config, 'field', seeds={seeds}, workdir={folder + '/run'!r})"
            )
            return processes.run([sys.executable, "-c", code]).seconds

    def one_by_one() -> float:
        one, three = timed(1, [_ONE_BY_ONE]), timed(3, [_ONE_BY_ONE])
        return one + (holdouts - 1) * (three - one) / 2

    def ready(seeds: int, changes: Sequence[str], call: Callable[[], float]) -> Ready:
        timed(seeds, changes)  # what it compiles is at hand from here on
        return Ready(call)

    peer = "one by one"
    return Work(
        "grid-tables",
        f"A grid of tables: the 17 variants of ablations/field.py × {holdouts} hold-outs of the size of ERA",
        {
            OURS: lambda: ready(holdouts, (), functools.partial(timed, holdouts)),
            peer: lambda: ready(1, (_ONE_BY_ONE,), one_by_one),
        },
        (Target("5 × one by one", 5.0, (peer,)),),
        unit="s",
        alone=True,
        rounds=1,
        note=f"One by one, one hold-out and three were run, and each of {holdouts} counted as what one more added."
        " What they compile was compiled before.",
        tried=tried.TABLES,
    )


def _options(root: Path, changes: Sequence[str]) -> list[str]:
    return [f"--config.data.root={root}", *(f"--config.{change}" for change in changes)]


def _era(root: Path, holdouts: int) -> Path:
    """Random tables of 750 and 250 rows, four numbers and nine grades, as configs/era.py reads them."""
    root.mkdir(parents=True)
    for holdout in range(holdouts):
        rng = np.random.default_rng(holdout)
        for split, count in (("train", 750), ("test", 250)):
            numbers = rng.integers(0, 15, (count, 4))
            grades = np.clip(numbers.mean(1) * 0.6 + rng.normal(0, 1, count), 1, 9).astype(int)
            grades[:9] = np.arange(1, 10)
            rows = np.column_stack([numbers, grades])
            np.savetxt(root / f"{split}_ERA_{holdout}.csv", rows, fmt="%d", delimiter=",")
    return root


@contextlib.contextmanager
def _arrays(shape: tuple[int, int], count: int, epochs: int) -> Iterator[str]:
    """A configuration of the LSTM on random features with three grades."""
    with tempfile.TemporaryDirectory() as folder:
        rng = np.random.default_rng(0)
        split = np.repeat(["train", "val", "test"], [count - 2 * (count // 5), count // 5, count // 5])
        sequences = rng.standard_normal((count, *shape), np.float32)
        arrays: dict[str, np.ndarray] = {"sequences": sequences, "y": rng.integers(0, 3, count), "split": split}
        write_npz(Path(folder) / "arrays.npz", arrays)
        config = Path(folder) / "features.py"
        config.write_text(_GRID.format(root=str(Path(folder) / "arrays.npz"), epochs=epochs))
        yield str(config)


def _photographs(folder: Path) -> list[str]:
    """The options of `train` for RetinaMNIST's configuration on 128 random images."""
    rng = np.random.default_rng(0)
    split = np.repeat(["train", "val", "test"], [64, 32, 32])
    images, grades = rng.integers(0, 256, (128, 28, 28, 3), np.uint8), np.arange(128) % 5
    write_npz(folder / "arrays.npz", {"images": images, "y": grades, "split": split})
    changes = {
        "data.source": "arrays",
        "data.root": folder / "arrays.npz",
        "data.options.grades": "('0', '1', '2', '3', '4')",
        "report.examples": 0,
        "cnn.training.epochs": 1,
    }
    return ["--config=retinamnist", *(f"--config.{key}={value}" for key, value in changes.items())]


def _train(options: Sequence[str], workdir: Path, environment: Mapping[str, str] | None = None) -> float:
    """Seconds of `ordinal-blast train`, which keeps what it builds of the data in the work directory."""
    own = {"ORDINAL_BLAST_CACHE": os.fspath(workdir.parent / "cache"), **(environment or {})}
    return processes.run([*processes.CLI, "train", *options, "--workdir", os.fspath(workdir)], own).seconds
