"""From sections of a configuration to what training takes: models, objectives, problems, schedules."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ordinal_blast import objectives, ranges
from ordinal_blast.data import augment
from ordinal_blast.embryo.segmentation import DiceLoss, OnInputsAndMask, Segmenter
from ordinal_blast.errors import UsageError
from ordinal_blast.models.grader import Grader
from ordinal_blast.models.lstm import LSTM
from ordinal_blast.models.mlp import MLP
from ordinal_blast.models.unet import UNet
from ordinal_blast.models.xception import Xception
from ordinal_blast.objectives.objective import RULES
from ordinal_blast.study.configuration import blamed
from ordinal_blast.training.loop import Schedule
from ordinal_blast.training.parallel import AXIS
from ordinal_blast.training.problem import GradingLoss, Problem
from ordinal_blast.training.selection import HIGHER, LOWER, check_selection
from ordinal_blast.types import Task

MEASURES = {"val_qwk": HIGHER, "val_mae": LOWER, "val_rmse": LOWER}  # of every epoch of a grader
BACKBONES: dict[str, type[nn.Module]] = {"cropper": UNet, "cnn": Xception, "rnn": LSTM, "mlp": MLP}


def bind(objective: Mapping[str, Any], tasks: Sequence[Task]) -> dict[str, objectives.Objective]:
    """The objective of the section for each task's K; raises UsageError for an unknown name, option or rule."""
    ranges.check("objective.rule", objective["rule"], ranges.one_of(*RULES))
    name, options = objective["name"], dict(objective["options"])
    with blamed(f"objective {name} with the options {options}"):  # it may be a user's own, and raise anything
        try:
            return {task.name: objectives.get(name, num_classes=task.num_classes, **options) for task in tasks}
        except ValueError as error:
            raise UsageError(f"objective: {error}") from error


def check(config: Any) -> None:
    """Make what every link of the chain is trained with, without data; raises UsageError for what cannot be."""
    for link in config.chain:
        section = config[link]
        schedule(link, section["training"])
        if link == "cropper":
            with _said_of(link, "size"):
                _trace(segmentation(section).model, (section["size"], section["size"], len(config.frames.planes)))
        else:
            grading(link, section, {})
    bind(config.objective, _expected(config))


@functools.lru_cache(maxsize=32)
def _trace(model: nn.Module, shape: tuple[int, ...]) -> None:
    """The shapes of a model's variables for one image uint8 of this shape; raises what the model raises."""
    jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((1, *shape), jnp.uint8), train=False))


def _expected(config: Any) -> list[Task]:
    """The tasks as far as they are known before the data: a source has its grades as an option, or makes C, B, A.

    A user's own source may have any, so nothing is expected of it.
    """
    if ":" in config.data.source:
        return []
    return [Task(name, tuple(config.data.options.get("grades", ("C", "B", "A")))) for name in config.tasks]


def schedule(link: str, training: Mapping[str, Any]) -> Schedule:
    """The part of the `training` section of a link that the loop reads; raises UsageError for what cannot be."""
    names = (field.name for field in dataclasses.fields(Schedule))
    with _said_of(link, "training"):
        made = Schedule(**{name: training[name] for name in names if name in training})
        check_selection(made.select, () if link == "cropper" else MEASURES)
    return made


def grading(link: str, section: Mapping[str, Any], bound: Mapping[str, objectives.Objective]) -> Problem:
    """The problem of the link "cnn", "rnn" or "mlp" of the chain: its backbone, one head a task, the objectives."""
    heads = tuple((task, objective.family.layer, objective.num_outputs) for task, objective in bound.items())
    return _problem(link, section, Grader(backbone(link, section), heads), GradingLoss(tuple(bound.items())))


def segmentation(section: Mapping[str, Any]) -> Problem:
    """The problem of the cropper: U-Net, Dice loss, the same random view of image and mask."""
    return _problem("cropper", section, Segmenter(backbone("cropper", section)), DiceLoss())


def _problem(link: str, section: Mapping[str, Any], model: nn.Module, loss: Any) -> Problem:
    training = section["training"]
    augmentation = _augmentation(link, section)
    with _said_of(link, "training"):
        return Problem(model, loss, training["learning_rate"], training["weight_decay"], augmentation)


def backbone(link: str, section: Mapping[str, Any]) -> nn.Module:
    """The network of a link with the fields of its `model` section; raises UsageError for what it cannot be."""
    kind = BACKBONES[link]
    fields = {
        name: tuple(value) if isinstance(value, list | tuple) else value for name, value in section["model"].items()
    }
    known = {field.name for field in dataclasses.fields(kind)} - {"parent", "name", "axis_name"}
    if unknown := set(fields) - known:
        raise UsageError(f"{link}.model has no {', '.join(sorted(unknown))}: it takes {', '.join(sorted(known))}")
    if "dtype" in fields:
        fields["dtype"] = _dtype(f"{link}.model.dtype", fields["dtype"])
    across = {"axis_name": AXIS} if any(field.name == "axis_name" for field in dataclasses.fields(kind)) else {}
    with _said_of(link, "model"):
        return kind(**fields, **across)


def _dtype(key: str, name: str) -> Any:
    choices = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
    choices["auto"] = jnp.float32 if jax.default_backend() == "cpu" else jnp.bfloat16
    if name not in choices:
        raise UsageError(f"{key} is {name}: choose from {', '.join(choices)}")
    return choices[name]


def _augmentation(link: str, section: Mapping[str, Any]) -> Any:
    if "augment" not in section or section["augment"]["name"] == "none":
        return None
    wrap = OnInputsAndMask if link == "cropper" else augment.OnInputs
    with _said_of(link, "augment"):
        return wrap(augment.make(section["augment"]["name"], section["augment"]["options"]))


@contextlib.contextmanager
def _said_of(link: str, section: str) -> Iterator[None]:
    """What is refused inside is a UsageError that names the link of the chain, and its section."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{link}.{error}") from error
    except (TypeError, ValueError) as error:
        raise UsageError(f"{link}.{section}: {error}") from error
