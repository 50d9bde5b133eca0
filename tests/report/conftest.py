"""Small seeded studies: labels and raw outputs are drawn, an objective decides, and real records are written."""

import dataclasses
import pathlib
import sys

import numpy as np
import pytest

from ordinal_blast import objectives, record
from ordinal_blast.evaluation import metrics
from ordinal_blast.record import Model, Record, Split, TaskResult
from ordinal_blast.types import Task

VARIANTS = ("cross_entropy", "ordinal_cross_entropy", "binary_decomposition", "coral", "earth_mover", "median")
PLAN = {"experiment": "losses", "question": "Which loss?", "command": "ordinal-blast ablate --workdir runs/x"}
DATA = {"name": "synthetic", "summary": "drawn", "licence": "none", "citation": "none", "split": "80/10/10 by patient"}
MADE_BY = {"versions": {"python": "3.11.9", "jax": "0.10.2"}, "device": "1 x cpu (x86_64), 4 threads"}

sys.path.insert(0, str(pathlib.Path(__file__).parent))


@pytest.fixture(scope="session")
def chromium():
    """The class of a real browser; a test that asks for it is left out where there is none."""
    import chromium

    if chromium.PATH is None:
        pytest.skip("no Chromium on this machine")
    return chromium.Browser


@pytest.fixture(scope="session")
def write_run():
    """The generator `_write_run`."""
    return _write_run


@pytest.fixture(scope="session")
def measured():
    """`measured(values)`: the change of a run by which values(variant, seed) was measured in place of the truth."""

    def change_to(values):
        def change(kept):
            for _, _, result in kept.results():
                result.measures.clear()
                result.measures.update(values(kept.variant, kept.seed))

        return change

    return change_to


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """Three variants, three seeds, one stage, two tasks."""
    return _write_run(tmp_path_factory.mktemp("small"), VARIANTS[:3], stages=("rnn",), n=60)


def _write_run(path, variants=VARIANTS, seeds=(0, 1, 2), *, failed=(), missing=(), change=None, **drawn):
    """A run of all variants and seeds, in cells `{variant number}-s{seed}`; drawn: see `_models`. Returns its path.

    Cells named in `failed` get an error, those in `missing` nothing. change(record): edits one, or returns another.
    """
    cells = {f"{v}-s{seed}": (variant, seed) for v, variant in enumerate(variants) for seed in seeds}
    planned = {"reference": variants[0], "variants": list(variants), "seeds": list(seeds), "cells": list(cells)}
    record.write_plan(path, PLAN | planned)
    for name, (variant, seed) in cells.items():
        folder = record.folder_of(path, name)
        folder.mkdir(parents=True, exist_ok=True)
        if name in failed:
            (folder / record.ERROR).write_text("ValueError: the loss is NaN\n\nTraceback (most recent call last):\n")
        elif name not in missing:
            written = _record(name, variant, seed, _models(variant, seed, **drawn))
            record.write(folder, (change and change(written)) or written)
    return path


def _record(name, variant, seed, models) -> Record:
    split = next(iter(models.values())).splits["test"]
    sizes = {"train": 3 * len(split.ids), "val": len(split.ids), "test": len(split.ids)}
    objective = {"name": variant, "options": {}, "rule": "native", "correct_weights": False, "decides_by": "mode"}
    asked = {"objective": {}, "data": {"holdout": split.ids[0]}, "tasks": list(split.tasks)}
    identity = {"variant": variant, "data": "0" * 12, "code": {"ordinal_blast/study/cell.py": "0123456789ab"}}
    dataset, provenance = {**DATA, "identity": "0" * 12, "sizes": sizes}, {**MADE_BY, "settings": f"{seed:08x}"}
    facts = {
        "settings": asked,
        "identity": identity,
        "objective": objective,
        "dataset": dataset,
        "provenance": provenance,
    }
    facts |= {"class_weights": "none", "measures": {}, "warnings": (), "stages": {}, "published": {}}
    return Record(name, variant, seed, "losses", models=models, **facts)


def _models(variant, seed, stages=("cnn", "rnn"), tasks=("icm", "te"), grades="CBA", n=120, resplit=False):
    """What stages say of `n` test examples, patients of two, and of three times as many for training.

    Long names of variants see the true grade with less noise. With `resplit`, each seed is tested on other examples.
    """
    shares, models = np.linspace(1, 3, len(grades)), {}
    for m, stage in enumerate(stages):
        splits = {}
        for split, size in (("test", n), ("train", 3 * n)):
            ids = np.array([f"{f'seed{seed}-' * resplit}{split}-{i:04d}" for i in range(size)])
            splits[split] = Split(split, ids, {"group": np.array([f"patient-{i // 2}" for i in range(size)])}, {})
            for task in tasks:
                labels = np.random.default_rng([size, *task.encode()]).choice(
                    len(grades), size, p=shares / shares.sum()
                )
                noise = np.random.default_rng([size, *f"{task}{variant}{stage}{seed}".encode()]).normal(size=size)
                positions = labels + (2 / len(variant) ** 0.3 - 0.15 * m) * noise
                labels[39::40] = -1
                splits[split].tasks[task] = _decided(Task(task, tuple(grades)), labels, positions)
        history = [{"epoch": e, "train_loss": 1 / e, "val_loss": 0.5, "val_qwk": 0.5} for e in (1, 2)]
        training = {
            "epochs": 2,
            "best_epoch": 1,
            "parameters": 541_123,
            "seconds": 400.0,
            "peak_mb": 1900.0,
            "history": history,
        }
        models[stage] = Model(stage, splits, training, (4,), "float32", {task: {} for task in tasks})
    return models


def _decided(task, labels, positions) -> TaskResult:
    outputs = -1.2 * (positions[:, None] - np.arange(task.num_classes)) ** 2
    objective, kept = objectives.get("cross_entropy", num_classes=task.num_classes), labels >= 0
    probs, grades = np.exp(np.asarray(objective.log_probs(outputs), np.float64)), np.array(objective.predict(outputs))
    values = metrics.summary(labels[kept], grades[kept], num_classes=task.num_classes, probs=probs[kept])
    scores = np.array(objective.score(outputs), np.float64)
    return TaskResult(task, labels, kept, outputs, probs, grades, scores, values, values["log_loss"])


@pytest.fixture(scope="session")
def of_embryos():
    """`of_embryos(record)`: the change of a run that makes it one of simulated embryos."""
    return _of_embryos


@pytest.fixture(scope="session")
def embryos(tmp_path_factory):
    """Two variants, two seeds, CNN and RNN, on simulated embryos, and a panel of them that nine graded."""
    path = tmp_path_factory.mktemp("embryos")
    return _write_run(path, ("ordinal_cross_entropy", "cross_entropy"), (0, 1), n=120, change=_of_embryos)


def _of_embryos(kept) -> Record:
    """Latent quality and its grades, an outcome of the test set, and the first 40 test examples as a panel."""
    for model in kept.models.values():
        for split in model.splits.values():
            for task, result in split.tasks.items():
                rng = np.random.default_rng([len(split.ids), *task.encode()])
                latent = result.labels + 0.7 * rng.normal(size=len(split.ids))
                split.columns[f"latent_{task}"] = latent.astype(np.float32)
                split.columns[f"{task}_true"] = np.digitize(latent, [0.5, 1.5]).astype(np.int32)
        test = model.splits["test"]
        quality, rng = sum(test.columns[f"latent_{task}"] for task in test.tasks), np.random.default_rng(3)
        beats = quality + 2 * rng.normal(size=len(quality)) > 2.5
        test.columns["fetal_heartbeat"] = np.where(rng.random(len(quality)) < 0.6, beats, -1).astype(np.int32)
        panel = Split("panel", test.ids[:40], {"group": np.array([f"woman-{i}" for i in range(40)])}, {})
        for task, result in test.tasks.items():
            fields = ("labels", "weights", "outputs", "probs", "grades", "scores")
            panel.tasks[task] = dataclasses.replace(result, **{name: getattr(result, name)[:40] for name in fields})
            rng = np.random.default_rng([9, *task.encode()])
            moved = rng.integers(-1, 2, (40, 9)) * (rng.random((40, 9)) < 0.5)
            graded = np.clip(np.maximum(result.labels[:40], 0)[:, None] + moved, 0, 2)
            panel.columns[f"rater_{task}"] = np.where(rng.random((40, 9)) < 0.4, -1, graded).astype(np.int32)
        model.splits["panel"] = panel
    facts = {"dice_val": 0.9 + 0.02 * kept.seed, "dice_test": 0.8 + 0.02 * kept.seed, "parameters": 469_089}
    facts |= {"dice_test_error": 0.01, "dice_test_seen": 0.7, "images_test": 50, "empty_test": 14}
    return dataclasses.replace(kept, stages={"cropper": facts})
