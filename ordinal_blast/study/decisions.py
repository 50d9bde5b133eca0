"""From raw outputs to grades: the objective of each task, the class weights it undoes, and the rule that decides."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np

from ordinal_blast import kinds, objectives, parts
from ordinal_blast.data.batches import inverse_frequency
from ordinal_blast.data.material import Material
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.evaluation import calibration
from ordinal_blast.objectives import Objective
from ordinal_blast.objectives.families import Rescaled
from ordinal_blast.objectives.loss import RULES
from ordinal_blast.settings import ObjectiveSettings
from ordinal_blast.types import Predictions, Task

CALIBRATION = "calibration"  # the key of it among what a decision has fitted
F = TypeVar("F", bound=Callable[..., object])
Rule = Callable[[np.ndarray], np.ndarray]
"""rule(probs `[N, K]`) -> grades int `[N]`, for a decision of one's own."""


def validate(objective: ObjectiveSettings) -> None:
    """Raise UsageError for an objective, options or a rule that cannot be, whatever the grades."""
    _rule(objective.rule)
    loss = kinds.find("objective", objective.name)
    supplied = {"num_classes": 2} if "num_classes" in parts.signature(loss).parameters else {}
    parts.check_options(loss, {**objective.options, **supplied}, "objective.options", None, None)


def bind(
    objective: ObjectiveSettings, tasks: Sequence[Task], fitted: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Objective]:
    """The objective of the section for each task's K; raises UsageError for an unknown name, option or rule.

    fitted: what the decision of each task had fitted, to bind it again; its calibration is for `calibrated`.
    """
    _rule(objective.rule)
    options = dict(objective.options)
    with parts.blamed(f"objective {objective.name} with the options {options}"):
        try:
            return {
                task.name: objectives.get(
                    objective.name,
                    num_classes=task.num_classes,
                    fitted={
                        key: value for key, value in (fitted or {}).get(task.name, {}).items() if key != CALIBRATION
                    },
                    **options,
                )
                for task in tasks
            }
        except ValueError as error:
            raise UsageError(f"objective: {error}") from error


def class_weights(kind: str, material: Material, task: Task) -> np.ndarray:
    """What each grade of a task weighs in training, float32 `[K]`, by the frequencies of the training set alone."""
    if kind == "none":
        return np.ones(task.num_classes, np.float32)
    train = material.dataset.columns[f"label/{task.name}"][material.splits["train"]]
    weights = inverse_frequency(train, task.num_classes)
    return weights * np.count_nonzero(weights) if kind == "inverse_share" else weights


def log_shares(material: Material, task: Task) -> np.ndarray:
    """The log share of each grade among the training labels of a task, float64 `[K]`; UsageError for one without."""
    labels = material.dataset.columns[f"label/{task.name}"][material.splits["train"]]
    counts = np.bincount(labels[labels >= 0], minlength=task.num_classes)
    if not counts.all():
        lacking = task.grades[int(np.argmin(counts))]
        raise UsageError(
            f"objective.adjust_loss and objective.adjust_decision need every grade in the training set, and task "
            f"{task.name} has no {lacking} there: leave them at 0"
        )
    return np.log(counts / counts.sum())


def adjusted(bound: Mapping[str, Objective], objective: ObjectiveSettings, material: Material) -> dict[str, Objective]:
    """The objectives as they train, with logits that rise by `adjust_loss` times the log share of their grade.

    Raises UsageError for a loss that has no K logits.
    """
    if not objective.adjust_loss:
        return dict(bound)
    try:
        return {
            task.name: bound[task.name].adjusted(objective.adjust_loss * log_shares(material, task))
            for task in material.tasks
        }
    except ValueError as error:
        raise UsageError(f"objective.adjust_loss: {error}") from error


def undone(objective: ObjectiveSettings, kind: str, material: Material) -> dict[str, list[float]]:
    """What the probabilities `[K]` of each task are divided by in its decision; nothing for most studies.

    The class weights, where `correct_weights`; and the share of every grade to the power `adjust_decision`.
    """
    corrects = objective.correct_weights and kind != "none"
    if not corrects and not objective.adjust_decision:
        return {}
    divisors = {}
    for task in material.tasks:
        weights = class_weights(kind if corrects else "none", material, task).astype(np.float64)
        if objective.adjust_decision:
            weights = weights * np.exp(objective.adjust_decision * log_shares(material, task))
        divisors[task.name] = weights.tolist()
    return divisors


def corrected(bound: Mapping[str, Objective], weights: Mapping[str, Sequence[float]]) -> dict[str, Objective]:
    """The objectives that decide: those that trained, their probabilities over what is `undone`."""
    return {
        task: one.rescaled(np.ones(one.num_classes), -np.log(weights[task])) if task in weights else one
        for task, one in bound.items()
    }


def check_correction(objective: ObjectiveSettings, kind: str, material: Material) -> None:
    """Raise UsageError for a loss whose class weights cannot be undone, or a grade without a share of the labels."""
    weights = undone(objective, kind, material)
    if objective.correct_weights and kind != "none":
        for task, one in bind(objective, material.tasks).items():
            try:
                one.corrected(weights[task])
            except ValueError as error:
                raise UsageError(f"objective.correct_weights: {error}") from error


def check_calibration(objective: ObjectiveSettings, material: Material) -> None:
    """Raise UsageError where a calibration has nothing to be fitted on: known after training, it would cost that."""
    for task in material.tasks if objective.calibration != "none" else ():
        labels = material.dataset.columns[f"label/{task.name}"][material.splits["val"]]
        missing = [grade for k, grade in enumerate(task.grades) if not (labels == k).any()]
        needed = missing if objective.calibration == "vector" else missing * (len(missing) == task.num_classes)
        if needed:
            raise UsageError(
                f"objective.calibration is {objective.calibration}, and no validation example of task {task.name} has "
                f"the grade {needed[0]}: use {'temperature' if len(needed) < task.num_classes else 'none'}"
            )


def calibrate(
    objective: ObjectiveSettings, one: Objective, outputs: np.ndarray, labels: np.ndarray, selected: bool
) -> dict[str, Any]:
    """What a calibration fits on the raw outputs of validation examples that have a label, JSON-ready; {} for none.

    method, slope and offset `[K]` (see `Objective.rescaled`), examples, and selects_epoch: whether the same examples
    selected the epoch, which makes them look better than new ones. Raises UserError where nothing fits.
    """
    if objective.calibration == "none":
        return {}
    kept = labels >= 0
    log_probs = np.asarray(one.log_probs(outputs[kept]), np.float64)
    try:
        scaling = calibration.fit(
            log_probs, labels[kept], one.num_classes, "vector" if objective.calibration == "vector" else "temperature"
        )
    except ValueError as error:
        raise UserError(f"objective.calibration {objective.calibration}: {error}") from error
    slope, offset = scaling.slope.tolist(), scaling.offset.tolist()
    counted = {"examples": int(kept.sum()), "selects_epoch": selected}
    return {CALIBRATION: {"method": objective.calibration, "slope": slope, "offset": offset, **counted}}


def calibrated(bound: Mapping[str, Objective], fitted: Mapping[str, Mapping[str, Any]]) -> dict[str, Objective]:
    """The objectives with the calibration of their tasks, where one was fitted."""
    scalings = {task: values[CALIBRATION] for task, values in fitted.items() if CALIBRATION in values}
    return {
        task: one.rescaled(scalings[task]["slope"], scalings[task]["offset"]) if task in scalings else one
        for task, one in bound.items()
    }


def decides_by(objective: Objective, rule: str) -> str:
    """What a rule decides for this objective, in words for reports; a rule of one's own goes by its name."""
    return objective.decision(rule) if rule in RULES else rule.rpartition(":")[2]


def decide(objective: Objective, rule: str, outputs: np.ndarray) -> Predictions:
    """What a fitted objective says of raw outputs `[N, num_outputs]`; raises UsageError as `by_rule` does."""
    log_probs, grades, scores = map(np.asarray, _said(objective, rule if rule in RULES else "native")(outputs))
    probs = np.exp(log_probs.astype(np.float64))
    own = by_rule(rule, probs)
    return Predictions(np.asarray(outputs), probs, grades if own is None else own, scores.astype(np.float64))


def traced(objective: Objective, rule: str, outputs: jax.Array) -> dict[str, jax.Array]:
    """The same as pure JAX: "grade", "probs" and "score" of raw outputs; UsageError for a rule of one's own."""
    if rule not in RULES:
        raise UsageError(f"objective.rule is {rule}, which is numpy code of your own, and no program holds it")
    log_probs = objective.log_probs(outputs)
    grades = objective.predict(outputs, rule=rule)
    return {"grade": grades.astype(jnp.int32), "probs": jnp.exp(log_probs), "score": objective.score(outputs)}


def losses(objective: Objective, outputs: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The loss `[W]` of outputs `[N, num_outputs]` and labels `[N]` under each of several weights `[W, N]`."""
    return np.asarray(_losses(objective)(outputs, labels, weights))


@functools.lru_cache(maxsize=64)
def _said(objective: Objective, rule: str) -> Callable[[np.ndarray], tuple[jax.Array, jax.Array, jax.Array]]:
    """Log-probabilities, decision and score of outputs, in one program."""

    def said(outputs: np.ndarray) -> tuple[jax.Array, jax.Array, jax.Array]:
        raw = jnp.asarray(outputs)
        return objective.log_probs(raw), objective.predict(raw, rule=rule), objective.score(raw)

    return _compiled(objective, said)


@functools.lru_cache(maxsize=64)
def _losses(objective: Objective) -> Callable[..., jax.Array]:
    return _compiled(objective, jax.vmap(objective.loss, in_axes=(None, None, 0)))


def _compiled(objective: Objective, function: F) -> F:
    """The function as one program, but for an objective that was fitted: it is of one cell, and not worth it."""
    fitted = objective.family.fitted_fields or isinstance(objective.family, Rescaled)
    return function if fitted else cast(F, jax.jit(function))


def by_rule(rule: str, probs: np.ndarray) -> np.ndarray | None:
    """The grades `[N]` of a rule of one's own for probabilities `[N, K]`; None for a rule of every objective.

    Raises UsageError for what it raises, and where it gives no grades.
    """
    own = _rule(rule)
    if own is None:
        return None
    with parts.blamed(f"objective.rule {rule} raised"):
        grades = np.asarray(own(untouchable(probs)))
    if grades.shape != (len(probs),) or grades.dtype.kind not in "iu" or not _within(grades, probs.shape[1]):
        raise UsageError(
            f"objective.rule {rule} gives {grades.dtype} {grades.shape} for probabilities {probs.shape}: it has to "
            f"give one whole number of 0 ... {probs.shape[1] - 1} an example"
        )
    return grades


def untouchable(array: np.ndarray) -> np.ndarray:
    """The array, for code of one's own that may read it and not write in it."""
    view = array.view()
    view.flags.writeable = False
    return view


def _within(grades: np.ndarray, num_classes: int) -> bool:
    return not grades.size or bool(grades.min() >= 0 and grades.max() < num_classes)


def _rule(name: str) -> Rule | None:
    """A rule of one's own; None for those of every objective."""
    return parts.find("objective.rule", name, dict.fromkeys(RULES))
