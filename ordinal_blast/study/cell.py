"""One cell of a study: a variant and a seed, from configuration to `result.json` and `predictions.npz`."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from ordinal_blast import record
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.evaluation import metrics
from ordinal_blast.objectives import Objective
from ordinal_blast.storage import digest, read_json, write_json
from ordinal_blast.study import chain, identity, problems
from ordinal_blast.study.chain import Link, Material
from ordinal_blast.study.configuration import flat, plain
from ordinal_blast.study.session import Session
from ordinal_blast.training import parallel
from ordinal_blast.types import Predictions

_IDENTITY = "identity.json"
_PLACES = ("data.cache", "data.root")  # where files lie changes no result
_DECISION = ("objective.rule", "objective.correct_weights")  # what is said of raw outputs, after training
_PACKAGES = ("ordinal-blast", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy", "scipy")


def config_digest(config: Any) -> str:
    """The hash of everything in a configuration that can change a result."""
    return digest({key: value for key, value in flat(plain(config)).items() if key not in _PLACES})


def training_digest(config: Any) -> str:
    """The hash of everything that can change the training: cells that differ in the decision share one."""
    skipped = (*_PLACES, *_DECISION)
    return digest({key: value for key, value in flat(plain(config)).items() if key not in skipped})


def identify(variant: str, config: Any, given: Material) -> dict[str, Any]:
    """What a cell is beside its configuration: its variant, its data, the text of the code that makes its numbers."""
    return {"variant": variant, "data": given.identity, "code": identity.of_code(config)}


def claim(folder: Path, config: Any, identified: Mapping[str, Any]) -> None:
    """Write what the cell is made of, or where its training has begun, check that it is what was written before.

    Raises UsageError that names the first setting, the data or the source files that differ, so that no directory
    mixes two; UserError where a file of a finished cell is not what was written.
    """
    ours, finished = plain(config), record.finished(folder)
    if not finished and not (folder / "checkpoints").exists():
        write_json(folder / record.CONFIG, ours)
        write_json(folder / _IDENTITY, identified)
        return
    if not finished and not (folder / _IDENTITY).exists():
        raise UsageError(f"{folder} was begun by another version: use another --workdir, or delete that folder")
    told = record.check(folder)["identity"] if finished else read_json(folder / _IDENTITY, tuple(identified))
    theirs, mine = _leaves(read_json(folder / record.CONFIG, ("objective",))), _leaves(ours)
    different = [
        f"{key}={_told(theirs, key)}, now it is {_told(mine, key)}"
        for key in sorted(set(theirs) | set(mine))
        if key not in _PLACES and theirs.get(key) != mine.get(key)
    ]
    if told["variant"] != identified["variant"]:
        different.append(f"the variant {told['variant']!r}, now it is {identified['variant']!r}")
    if told["data"] != identified["data"]:
        different.append(f"other data (digest {told['data']}, now it is {identified['data']})")
    if files := identity.differing(told["code"], identified["code"]):
        different.append(f"another text of {', '.join(files[:5])}{', ...' if len(files) > 5 else ''}")
    if different:
        raise UsageError(f"{folder} was begun with {different[0]}: use another --workdir, or delete that folder")


def _leaves(config: Any) -> dict[str, Any]:
    """Every setting under its dotted key; an empty section is none."""
    return {key: value for key, value in flat(config).items() if value != {}}


def _told(leaves: Mapping[str, Any], key: str) -> str:
    return repr(leaves[key]) if key in leaves else "unset"


def train(config: Any, variant: Mapping[str, Any], given: Material, folder: Path, root: Path, session: Session) -> None:
    """Train the cell's chain and write its predictions and result. variant: as `result.json` repeats it."""
    links, facts = chain.run(config, given, folder, root, session)
    bound = problems.bind(config.objective, given.tasks)
    arrays: dict[str, np.ndarray] = {}
    for link in links:
        for split, examples in link.examples.items():
            for name, column in examples.extras.items():
                arrays[f"{link.name}/{split}/{'groups' if name == 'group' else name}"] = column
    arrays |= _example_frames(links[0], config.report.examples)
    training = [link.training for link in links]
    outputs = {link.name: link.outputs for link in links}
    columns = {
        link.name: {
            split: (examples.ids, examples.labels, examples.weights) for split, examples in link.examples.items()
        }
        for link in links
    }
    first = {link.name: link.examples["train"].inputs(np.arange(1))[0] for link in links}
    shared = {
        "inputs": {name: list(example.shape) for name, example in first.items()},
        "input_types": {name: example.dtype.name for name, example in first.items()},
        "training": training,
        "stages": facts,
        "provenance": provenance(config, parallel.hardware(session.devices)),
    }
    _conclude(config, variant, given, bound, outputs, columns, arrays, shared, folder)


def redecide(config: Any, variant: Mapping[str, Any], given: Material, folder: Path, trained: Path) -> None:
    """Write a cell that differs from the finished cell `trained` in the decision alone, without training."""
    before, arrays = record.read(trained)
    bound = problems.bind(config.objective, given.tasks)
    outputs: dict[str, dict[str, dict[str, np.ndarray]]] = {}
    columns: dict[str, dict[str, Any]] = {}
    for row in before["rows"]:
        model, split, task = row["model"], row["split"], row["task"]
        place = f"{model}/{split}/{task}"
        outputs.setdefault(model, {}).setdefault(split, {})[task] = arrays[f"{place}/outputs"]
        _, labels, weights = columns.setdefault(model, {}).setdefault(split, (arrays[f"{place}/ids"], {}, {}))
        labels[task], weights[task] = arrays[f"{place}/labels"], arrays[f"{place}/weights"]
    kept = {name: array for name, array in arrays.items() if name.count("/") < 3}
    training = [{**line, "shared_with": before["cell"]} for line in before["training"]]
    shared = {
        "inputs": before["inputs"],
        "input_types": before["input_types"],
        "training": training,
        "stages": before["stages"],
        "provenance": provenance(config, before["provenance"]["device"]),
    }
    _conclude(config, variant, given, bound, outputs, columns, kept, shared, folder)


def decide(objective: Objective, rule: str, ids: Any, labels: Any, outputs: Any) -> Predictions:
    """What a fitted objective says of raw outputs `[N, num_outputs]`."""
    outputs = jnp.asarray(outputs)
    return Predictions(
        ids=np.asarray(ids),
        labels=np.asarray(labels),
        outputs=np.asarray(outputs),
        probs=np.exp(np.asarray(objective.log_probs(outputs), np.float64)),
        grades=np.asarray(objective.predict(outputs, rule=rule)),
        scores=np.asarray(objective.score(outputs), np.float64),
    )


def _conclude(
    config: Any,
    variant: Mapping[str, Any],
    given: Material,
    bound: Mapping[str, Objective],
    outputs: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]],
    columns: Mapping[str, Mapping[str, Any]],
    arrays: dict[str, np.ndarray],
    shared: Mapping[str, Any],
    folder: Path,
) -> None:
    """Fit the decisions on the training outputs, decide, measure, write."""
    undone = chain.undone(config, given)
    decisions = chain.decisions(bound, undone)
    rows, fitted = [], {}
    for model, per_split in outputs.items():
        _, labels, weights = columns[model]["train"]
        for task in given.tasks:
            name = task.name
            objective = decisions[name].fit(per_split["train"][name], labels[name], weights[name])
            fitted[f"{model}/{name}"] = objective.fitted
            for split, (ids, split_labels, split_weights) in columns[model].items():
                made = decide(objective, config.objective.rule, ids, split_labels[name], per_split[split][name])
                for field, array in made._asdict().items():
                    narrow = np.asarray(array, np.float32) if array.dtype == np.float64 else array
                    arrays[f"{model}/{split}/{name}/{field}"] = narrow
                arrays[f"{model}/{split}/{name}/weights"] = split_weights[name]
                loss = objective.loss(made.outputs, made.labels, split_weights[name])
                rows.append({"model": model, **_row(task, split, made, float(loss))})
    if any(not np.isfinite(array).all() for name, array in arrays.items() if name.endswith("/outputs")):
        raise UserError(
            f"{variant['cell']}: the trained model gives outputs that are not finite; lower the learning rate"
        )
    decided = {
        "decides_by": next(iter(decisions.values())).decision(config.objective.rule),  # whatever the task
        "undone_weights": undone,
        "fitted": fitted,
    }
    result = {
        **variant,
        "objective": {**plain(config.objective), **decided},
        "class_weights": config.class_weights,
        "dataset": _dataset(config, given),
        "warnings": list(given.warnings),
        "published": plain(config.report.get("published")),
        "rows": rows,
        **shared,
    }
    record.write(folder, result, arrays)


def _row(task: Any, split: str, made: Predictions, loss: float) -> dict[str, Any]:
    kept = made.labels >= 0
    measured = metrics.summary(
        made.labels[kept], made.grades[kept], num_classes=task.num_classes, probs=made.probs[kept]
    )
    return {
        "task": task.name,
        "split": split,
        "n": int(kept.sum()),
        "num_classes": task.num_classes,
        "grades": list(task.grades),
        "metrics": measured,
        "loss": loss,
    }


def _dataset(config: Any, given: Material) -> dict[str, Any]:
    by = config.data.split.by
    rule = (
        "as published with the dataset" if by == "official" else f"by {by}, shares {tuple(config.data.split.fractions)}"
    )
    return {
        "name": given.dataset.name,
        "summary": given.dataset.summary,
        "licence": given.dataset.licence,
        "citation": given.dataset.citation,
        "identity": given.dataset.identity,
        "split": rule,
        "columns": list(given.dataset.extras.get("columns", ())),
        "sizes": {name: len(rows) for name, rows in given.splits.items()},
    }


def provenance(config: Any, hardware: str) -> dict[str, Any]:
    """Versions, the devices and threads that trained, and the hash of the configuration."""
    return {"versions": _versions(), "device": hardware, "config_sha": config_digest(config)}


@functools.cache
def _versions() -> dict[str, str]:
    """Reading them from disk would take a twentieth of a small cell."""
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in _PACKAGES}


def _example_frames(link: Link, count: int) -> dict[str, np.ndarray]:
    """The first test images that the CNN sees; the middle focal plane of a time-lapse, all channels of a photograph."""
    examples = link.examples["test"]
    if link.name != "cnn" or not count:
        return {}
    images = examples.inputs(np.arange(min(count, len(examples))))
    if "instrument" in examples.extras:
        images = images[..., images.shape[-1] // 2][..., None]
    return {"examples/frames": images, "examples/ids": examples.ids[: len(images)]}
