"""Four simulated CPU devices, strict rank promotion, and a tiny graded image set with a tiny network to study it."""

import os
from pathlib import Path

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Hundreds of tests, and the processes that they start, compile the same programs: the first one keeps them for all, in
# this checkout. JAX tells machines with other instructions apart, but not other numbers of threads.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / f".pytest_cache/compiled/{os.cpu_count()}-cores")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

import jax
import numpy as np
import pytest

from ordinal_blast.training import compilation

jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_configure(config):
    """Once a session, not in its workers: what was compiled longest ago goes."""
    if not hasattr(config, "workerinput"):
        compilation.forget_oldest(Path(__file__).parents[1] / ".pytest_cache/compiled")


@pytest.fixture(scope="module", autouse=True)
def few_programs():
    """Let go of what the modules before compiled, as a long grid does: thousands of tests reach the same limit."""
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > 30_000:
        compilation.forget()


@pytest.fixture(scope="module")
def compile_quickly():
    """XLA without most of its optimisations, for modules that compile much and whose numbers others check."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "true")  # of processes that the tests start
        jax.config.update("jax_disable_most_optimizations", True)
        yield
        jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory):
    """The folder of `tiny.npz`: 16 x 16 images whose brightness is the grade, with noise; K = 3."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 60), ("val", 24), ("test", 30)):
        labels = rng.integers(0, 3, count)
        light = 70 + 60 * labels[:, None, None, None] + rng.normal(0, 25, (count, 16, 16, 3))
        arrays[f"{split}_images"] = np.clip(light, 0, 255).astype(np.uint8)
        arrays[f"{split}_labels"] = labels.astype(np.uint8)
    root = tmp_path_factory.mktemp("tiny")
    np.savez(root / "tiny.npz", **arrays)
    return root


@pytest.fixture(scope="session")
def tiny_overrides(tiny_root):
    """Overrides that turn configs/retinamnist.py into a study of seconds."""
    return {
        "name": "tiny",
        "devices": 1,
        "data.root": str(tiny_root),
        "data.cache": str(tiny_root / "cache"),
        "data.options.name": "tiny",
        "data.options.grades": ("C", "B", "A"),
        "cnn.network.options": {"stem": (4, 8), "entry": (8,), "middle": 0, "exit": (8, 8, 8, 8), "momentum": 0.9},
        "cnn.training.epochs": 3,
        "cnn.optimizer.learning_rate": 0.01,
        "cnn.augment": "none",
        "report.examples": 2,
    }
