"""From sections of a configuration to what training takes: models, objectives, problems, schedules."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ordinal_blast import objectives
from ordinal_blast.data import augment
from ordinal_blast.errors import UsageError
from ordinal_blast.models.grader import Grader
from ordinal_blast.models.lstm import LSTM
from ordinal_blast.models.mlp import MLP
from ordinal_blast.models.unet import UNet
from ordinal_blast.models.xception import Xception
from ordinal_blast.study.cropper import Segmenter
from ordinal_blast.training.loop import Schedule
from ordinal_blast.training.parallel import AXIS
from ordinal_blast.training.problem import DiceLoss, GradingLoss, Problem
from ordinal_blast.types import Task

BACKBONES: Mapping[str, type[nn.Module]] = {"cropper": UNet, "cnn": Xception, "rnn": LSTM, "mlp": MLP}


def bind(objective: Mapping[str, Any], tasks: Sequence[Task]) -> dict[str, objectives.Objective]:
    """The objective of the section for each task's K; raises UsageError for an unknown name, option or rule."""
    rules = ("native", "mode", "median", "mean")
    if objective["rule"] not in rules:
        raise UsageError(f"objective.rule is {objective['rule']}: choose from {', '.join(rules)}")
    try:
        options = dict(objective["options"])
        return {task.name: objectives.get(objective["name"], num_classes=task.num_classes, **options) for task in tasks}
    except (ValueError, ImportError) as error:
        raise UsageError(f"objective: {error}") from error


def schedule(training: Mapping[str, Any]) -> Schedule:
    """The part of a `training` section that the loop reads."""
    names = (field.name for field in dataclasses.fields(Schedule))
    return Schedule(**{name: training[name] for name in names if name in training})


def grading(link: str, section: Mapping[str, Any], bound: Mapping[str, objectives.Objective]) -> Problem:
    """The problem of the link "cnn", "rnn" or "mlp" of the chain: its backbone, one head a task, the objectives."""
    heads = tuple((task, objective.head, objective.num_outputs) for task, objective in bound.items())
    return Problem(
        model=Grader(backbone(link, section), heads),
        loss=GradingLoss(tuple(bound.items())),
        learning_rate=section["training"]["learning_rate"],
        weight_decay=section["training"]["weight_decay"],
        augment=_augmentation(link, section, augment.OnInputs),
    )


def segmentation(section: Mapping[str, Any]) -> Problem:
    """The problem of the cropper: U-Net, Dice loss, the same random view of image and mask."""
    return Problem(
        model=Segmenter(backbone("cropper", section)),
        loss=DiceLoss(),
        learning_rate=section["training"]["learning_rate"],
        weight_decay=section["training"]["weight_decay"],
        augment=_augmentation("cropper", section, augment.OnInputsAndMask),
    )


def backbone(link: str, section: Mapping[str, Any]) -> nn.Module:
    """The network of a link with the fields of its `model` section; raises UsageError for a field it lacks."""
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
    return kind(**fields, **across)


def _dtype(key: str, name: str) -> Any:
    choices = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
    choices["auto"] = jnp.float32 if jax.default_backend() == "cpu" else jnp.bfloat16
    if name not in choices:
        raise UsageError(f"{key} is {name}: choose from {', '.join(choices)}")
    return choices[name]


def _augmentation(link: str, section: Mapping[str, Any], wrap: Any) -> Any:
    if "augment" not in section or section["augment"]["name"] == "none":
        return None
    try:
        return wrap(augment.make(section["augment"]["name"], section["augment"]["options"]))
    except (TypeError, ValueError) as error:
        raise UsageError(f"{link}.augment: {error}") from error
