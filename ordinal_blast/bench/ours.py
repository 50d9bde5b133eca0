"""The same works here, by the functions that a study calls."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np

from ordinal_blast import objectives, settings
from ordinal_blast.bench.work import Ready, Sample, per
from ordinal_blast.data import batches
from ordinal_blast.data.batches import Examples, fixed
from ordinal_blast.embryo.segmentation import DiceLoss, Segmenter
from ordinal_blast.models import GradingNetwork, networks
from ordinal_blast.settings import NetworkSettings, OptimizerSettings, ScheduleSettings, TrainingSettings
from ordinal_blast.training import loop, optimizer, parallel, step
from ordinal_blast.training.problem import GradingLoss, Problem
from ordinal_blast.types import Batch


class Example(NamedTuple):
    """A problem with random variables, and a batch or a training set for it, as `Sample` has them."""

    problem: Problem
    variables: Mapping[str, Any]
    inputs: np.ndarray
    labels: np.ndarray

    @property
    def sample(self) -> Sample:
        """The same for peers: a network with heads, or alone where it finds masks."""
        model, variables = self.problem.model, self.variables
        if isinstance(model, Segmenter):
            model, variables = model.network, {name: tree["network"] for name, tree in variables.items()}
        return Sample(model, variables, self.inputs, self.labels)

    def first(self, count: int) -> Example:
        """The first examples alone."""
        return self._replace(inputs=self.inputs[:count], labels=self.labels[:count])


def steps(config: str, stage: str) -> int:
    """How many steps of a stage one call takes."""
    count: int = stage_of(config, stage).training.steps_per_dispatch
    return count


def section(config: str, stage: str) -> NetworkSettings:
    """The network of a stage of a configuration of the project."""
    network: NetworkSettings = stage_of(config, stage).network
    return network


def stage_of(config: str, stage: str) -> Any:
    """The section of a stage of a configuration of the project: of a grader or of a cropper."""
    return settings.load(config).stages[stage]


def backbone(network: NetworkSettings) -> nn.Module:
    """The network of a section, without heads."""
    return networks.make(network, "network")


def graded(network: NetworkSettings, inputs: np.ndarray, grades: Mapping[str, int]) -> Example:
    """A network with a head for each task, of so many grades, that learns by the cross-entropy."""
    heads = {task: objectives.get("cross_entropy", num_classes=count) for task, count in grades.items()}
    model = GradingNetwork(backbone(network), tuple(heads.items()))
    rng = np.random.default_rng(1)
    labels = np.stack([rng.integers(0, count, len(inputs)) for count in grades.values()], axis=1)
    return _example(Problem(model, GradingLoss(tuple(heads.items())), _adam()), inputs, labels)


def segmented(network: NetworkSettings, inputs: np.ndarray) -> Example:
    """A network that learns masks by the Dice loss."""
    masks = np.random.default_rng(1).integers(0, 2, inputs.shape[:3]).astype(np.float32)
    return _example(Problem(Segmenter(backbone(network)), DiceLoss(), _adam()), inputs, masks)


def _adam() -> optimizer.Optimizer:
    return optimizer.make(OptimizerSettings(), ScheduleSettings(), TrainingSettings(), "training")


def _example(problem: Problem, inputs: np.ndarray, labels: np.ndarray) -> Example:
    state = step.create(problem, inputs[:2], 0, 1000)
    return Example(problem, jax.tree.map(np.asarray, step.variables(state, problem)), inputs, labels)


def devices() -> tuple[jax.Device, ...]:
    """The one device that works."""
    return tuple(jax.local_devices()[:1])


def forward(example: Example) -> Ready:
    """Raw outputs of a batch, in evaluation mode, as features are extracted and new examples graded."""
    size = len(example.inputs)
    problem, variables = Problem(example.problem.model), jax.device_put(example.variables)

    def call() -> np.ndarray:
        outputs = parallel.predict(problem, variables, example.inputs.__getitem__, size, size, devices())
        return np.concatenate([value.reshape(size, -1) for value in outputs.values()], axis=1)

    return Ready(call, call())


def step_of(example: Example, steps: int = 1) -> Ready:
    """A step of Adam, in the program that training compiles, which takes so many steps in one call."""
    value = forward(example).value
    state = parallel.replicate(_state(example), devices())
    run = parallel.train_steps(example.problem, devices())
    batches = parallel.stack([_batch(example)] * steps, 1)

    def call() -> None:
        nonlocal state
        state, metrics = run(state, batches)
        jax.block_until_ready(metrics.loss)

    return Ready(per(call, steps), value)


def epoch(example: Example, val: Example, training: TrainingSettings) -> Ready:
    """An epoch, the mean of those that the settings ask for: batches drawn, steps, validation."""
    value = forward(example.first(training.batch_size)).value
    call = functools.partial(
        loop.fit,
        example.problem,
        _examples(example),
        _examples(val),
        training,
        seed=0,
        directory=None,
        devices=devices(),
        name="bench",
        initial=lambda _: example.variables,
    )
    return Ready(per(call, training.epochs), value)


def loader(images: np.ndarray, size: int, threads: int) -> Ready:
    """An epoch of uint8 images as batches, the mean of one."""
    count = len(images)
    examples = Examples(np.arange(count), fixed(images), {}, {})

    def call() -> int:
        stream = batches.epochs(examples, size=size, first=0, last=1, seed=0, threads=threads)
        return sum(len(batch.inputs) for _, steps in stream for batch in steps)

    return Ready(per(call, count // size))


def _state(example: Example) -> step.TrainState:
    return step.create(example.problem, example.inputs[:2], 0, 1000, lambda _: example.variables)


def _examples(example: Example) -> Examples:
    count = len(example.inputs)
    labels = _labels(example)
    weights = {task: np.ones(count, np.float32) for task in labels}
    return Examples(np.arange(count), fixed(example.inputs), labels, weights)


def _batch(example: Example) -> Batch:
    examples = _examples(example)
    index = np.arange(len(example.inputs), dtype=np.int32)
    return Batch(example.inputs, examples.labels, examples.weights, index)


def _labels(example: Example) -> dict[str, np.ndarray]:
    if isinstance(example.problem.model, Segmenter):
        return {"mask": example.labels}
    tasks = [task for task, _ in example.problem.model.heads]
    return {task: labels.astype(np.int32) for task, labels in zip(tasks, example.labels.T, strict=True)}
