"""Seeded synthetic run directories, written as a runner leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ordinal_blast import record
from ordinal_blast.evaluation import metrics
from ordinal_blast.storage import write_json

VARIANTS = (
    "cross_entropy",
    "ordinal_cross_entropy",
    "binary_decomposition",
    "thresholded_regression",
    "earth_mover",
    "cross_entropy_median",
)


@pytest.fixture(scope="session")
def write_run():
    """The generator `_write_run`."""
    return _write_run


@pytest.fixture(scope="session")
def rewrite():
    """`rewrite(folder, change)`: the cell as it were if `change(result, arrays)` had been so when it was written.

    config: its configuration, where that is another one too.
    """

    def rewritten(folder, change, config=None):
        result, arrays = record.read(folder)
        change(result, arrays)
        if config:
            write_json(folder / record.CONFIG, config)
        record.write(folder, {key: value for key, value in result.items() if key != "digests"}, arrays)

    return rewritten


@pytest.fixture(scope="session")
def reverse_examples():
    """A change for `rewrite`: the test examples in the other order."""
    return lambda _, arrays: arrays.update({key: each[::-1] for key, each in arrays.items() if "/test/" in key})


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Path:
    """Three variants, three seeds, one model, two tasks."""
    return _write_run(tmp_path_factory.mktemp("small"), variants=VARIANTS[:3], models=("rnn",), n=60, epochs=3)


def _write_run(
    path: Path,
    *,
    variants: Sequence[str] = VARIANTS,
    seeds: Sequence[int] = (0, 1, 2),
    models: Sequence[str] = ("cnn", "rnn"),
    tasks: Sequence[str] = ("icm", "te"),
    grades: Sequence[str] = ("C", "B", "A"),
    n: int = 120,
    epochs: int = 12,
    experiment: str = "losses",
    outcome: bool = False,
    frames: int = 0,
    failed: Sequence[str] = (),
    missing: Sequence[str] = (),
    gain: float = 0.2,
    resplit: bool = False,
    only: str | None = None,
) -> Path:
    """A run of all variants and seeds; later variants see the true grade with `gain` less noise each.

    Cells named in `failed` get an error, those in `missing` nothing. A cell is named `{variant number}-s{seed}`.
    With `resplit`, each seed is tested on other examples; `only` is the variant that is planned, of all those.
    """
    rng = np.random.default_rng(7)
    k = len(grades)
    truth = {task: rng.choice(k, size=n, p=_shares(k)) for task in tasks}
    train = {task: rng.choice(k, size=3 * n, p=_shares(k)) for task in tasks}
    for labels in truth.values():
        labels[rng.random(n) < 0.03] = -1
    ids = np.array([f"embryo-{index:04d}" for index in range(n)])
    heartbeat = np.where(rng.random(n) < 0.6, rng.random(n) < 0.2 + 0.5 * truth[tasks[0]] / (k - 1), -1)
    groups = np.array([f"patient-{index // 2}" for index in range(n)])
    cells = {f"{v}-s{seed}": (variant, seed) for v, variant in enumerate(variants) for seed in seeds}
    planned = [variant for variant in variants if only in (None, variant)]
    plan = {
        "schema": record.SCHEMA,
        "experiment": experiment,
        "question": "Does a loss that knows the order of the grades grade blastocysts better?",
        "reference": planned[0],
        "variants": planned,
        "seeds": list(seeds),
        "cells": [name for name, (variant, _) in cells.items() if variant in planned],
        "command": f"ordinal-blast ablate ablations/{experiment}.py --config configs/synthetic.py --workdir runs/x",
    }
    write_json(path / "plan.json", plan)
    for number, (name, (variant, seed)) in enumerate(cells.items()):
        tested = np.array([f"seed{seed}-{name}" for name in ids]) if resplit else ids
        if variant not in planned:
            continue
        folder = path / "cells" / name
        folder.mkdir(parents=True, exist_ok=True)
        if name in missing:
            continue
        if name in failed:
            (folder / "error.txt").write_text(
                "ValueError: the loss is NaN\n\nTraceback (most recent call last):\n  ...\n"
            )
            continue
        arrays, rows, training = {}, [], []
        for m, model in enumerate(models):
            noise = 0.9 - 0.15 * m - gain * 0.3 * variants.index(variant) / len(variants)
            for split, labels_of in (("test", truth), ("train", train)):
                for task, labels in labels_of.items():
                    found = _predict(labels, k, noise, np.random.default_rng([number, m, len(task), len(split)]))
                    prefix = f"{model}/{split}/{task}"
                    split_ids = tested if split == "test" else np.array([f"train-{i:04d}" for i in range(len(labels))])
                    arrays |= {f"{prefix}/{key}": value for key, value in (found | {"ids": split_ids}).items()}
                    known = labels >= 0
                    summary = metrics.summary(
                        labels[known], found["grades"][known], num_classes=k, probs=found["probs"][known]
                    )
                    rows.append(
                        {
                            "model": model,
                            "task": task,
                            "split": split,
                            "n": int(known.sum()),
                            "num_classes": k,
                            "grades": list(grades),
                            "metrics": summary,
                            "loss": summary["log_loss"],
                        }
                    )
            arrays[f"{model}/test/groups"] = groups
            if outcome:
                arrays[f"{model}/test/fetal_heartbeat"] = heartbeat.astype(int)
            training.append(_training(model, epochs, number))
        if frames:
            arrays["examples/frames"] = np.stack([_frame(index) for index in range(frames)])
            arrays["examples/ids"] = ids[:frames]
        write_json(folder / record.CONFIG, {"data": {"options": {"holdout": seed * resplit}}, "tasks": list(tasks)})
        record.write(folder, _result(name, variant, seed, experiment, n, rows, training), arrays)
    return path


def _shares(k: int) -> np.ndarray:
    shares = np.linspace(1, 3, k)
    return shares / shares.sum()


def _predict(labels: np.ndarray, k: int, noise: float, rng: np.random.Generator) -> dict[str, np.ndarray]:
    positions = labels + noise * rng.normal(size=len(labels))
    logits = -1.2 * (positions[:, None] - np.arange(k)) ** 2
    probs = np.exp(logits - logits.max(axis=1, keepdims=True))
    probs /= probs.sum(axis=1, keepdims=True)
    return {
        "labels": labels,
        "outputs": logits,
        "probs": probs,
        "grades": probs.argmax(axis=1),
        "scores": probs @ np.arange(k),
    }


def _training(model: str, epochs: int, number: int) -> dict:
    rng = np.random.default_rng([number, len(model), epochs])
    steps = np.arange(1, epochs + 1)
    train = 0.35 + 0.8 * np.exp(-steps / 4) + 0.01 * rng.normal(size=epochs)
    val = 0.5 + 0.6 * np.exp(-steps / 3) + 0.012 * np.maximum(steps - 7, 0) + 0.02 * rng.normal(size=epochs)
    qwk = 0.7 * (1 - np.exp(-steps / 3)) + 0.02 * rng.normal(size=epochs)
    history = [
        {"epoch": int(e), "train_loss": float(t), "val_loss": float(v), "learning_rate": 1e-3, "val_qwk": float(q)}
        for e, t, v, q in zip(steps, train, val, qwk, strict=True)
    ]
    return {
        "model": model,
        "epochs": epochs,
        "best_epoch": int(steps[val.argmin()]),
        "parameters": 20_861_480 if model == "cnn" else 541_123,
        "seconds": 400.0 + number,
        "history": history,
    }


def _frame(index: int, size: int = 160) -> np.ndarray:
    """A blurred ring with a bright spot on grey noise: enough to be seen as a blastocyst."""
    rng = np.random.default_rng(index)
    y, x = np.mgrid[:size, :size] - size / 2
    radius = np.hypot(x, y * (1 + 0.05 * rng.normal()))
    ring = np.exp(-(((radius - 0.36 * size) / (0.03 * size)) ** 2))
    angle = rng.uniform(0, 2 * np.pi)
    spot = np.exp(-((x - 0.2 * size * np.cos(angle)) ** 2 + (y - 0.2 * size * np.sin(angle)) ** 2) / (0.012 * size**2))
    image = 110 + 60 * ring + 45 * spot - 25 * (radius < 0.34 * size) + 5 * rng.normal(size=(size, size))
    return np.repeat(np.clip(image, 0, 255).astype(np.uint8)[..., None], 3, axis=-1)


def _result(name: str, variant: str, seed: int, experiment: str, n: int, rows: list, training: list) -> dict:
    return {
        "cell": name,
        "variant": variant,
        "seed": seed,
        "experiment": experiment,
        "objective": {
            "name": variant.removesuffix("_median"),
            "options": {"power": 1.0} if variant.startswith("ordinal") else {},
            "rule": "median" if variant.endswith("_median") else "native",
            "decides_by": "median" if variant.endswith("_median") else "mode",
            "fitted": {},
        },
        "dataset": {
            "name": "synthetic",
            "summary": "Labels drawn at random and predictions that are the labels plus noise.",
            "licence": "none: generated",
            "citation": "generated by the tests",
            "identity": "000000000000",
            "split": "80/10/10 by patient",
            "sizes": {"train": 3 * n, "val": n, "test": n},
        },
        "identity": {
            "variant": variant,
            "data": "000000000000",
            "code": {"ordinal_blast/study/cell.py": "0123456789ab"},
        },
        "class_weights": "none",
        "warnings": [],
        "rows": rows,
        "training": training,
        "stages": {"cropper": {"dice_val": 0.96}},
        "provenance": {
            "versions": {"python": "3.11.9", "jax": "0.10.2", "ordinal_blast": "0.1.0"},
            "device": "1 x cpu (x86_64), 4 threads",
            "config_sha": f"{seed:08x}",
        },
    }
