"""How parameters move: any optimiser of optax, its learning rate by a schedule, clipping, accumulation, averaging.

An optimiser is a function `(learning_rate, **options) -> optax.GradientTransformation`. It is made anew in every traced
step with the rate of that step, so that the rate means what the optimiser takes it for: with SGD, momentum is not
scaled again, with AdamW the decay follows the rate, and so on.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
import optax.contrib

from ordinal_blast import parts
from ordinal_blast.errors import UsageError
from ordinal_blast.parts import Bound
from ordinal_blast.ranges import number
from ordinal_blast.settings import OptimizerSettings, ScheduleSettings, TrainingSettings
from ordinal_blast.training import schedules
from ordinal_blast.training.schedules import SCHEDULES, OnPlateau, Plateau


def _optimisers() -> dict[str, Callable[..., optax.GradientTransformation]]:
    """The functions of optax and optax.contrib that make an optimiser of a learning rate, by name."""
    functions = {**vars(optax.contrib), **vars(optax)}
    return {
        name: function
        for name, function in functions.items()
        if inspect.isfunction(function)
        and not name.startswith(("_", "scale_by_"))
        and "learning_rate" in inspect.signature(function).parameters
    }


_FACTORS = number(least=0)
OPTIMIZERS: Mapping[str, Callable[..., optax.GradientTransformation]] = _optimisers()


@flax.struct.dataclass
class OptimizerState:
    """What an optimiser remembers.

    transformation: the state of optax; updates: how many were made; total: how many training will make; plateau: see
    `OnPlateau`; average: the moving average of the parameters, or nothing.
    """

    transformation: Any
    updates: jax.Array
    total: jax.Array
    plateau: Plateau
    average: Any


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """An optimiser of optax as a step takes it; hashable, and equal to another of the same settings.

    rule(learning_rate=rate) -> optax.GradientTransformation. schedule(progress) -> factor of the learning rate.
    clip_norm: gradients are scaled down to this global norm, 0 for none. accumulate: that many batches make one update,
    by the mean of their gradients; they are counted over all epochs, so an update may take batches of two, and batches
    that are left when training ends move nothing. ema: decay d of the average Σ (1 − d) d^(t − i) pᵢ / (1 − d^t) of the
    parameters p₁ ... p_t after each update, which is what is evaluated; 0 for none.
    """

    rule: Callable[..., optax.GradientTransformation]
    learning_rate: float
    schedule: Callable[[jax.Array], jax.Array] = schedules.constant
    clip_norm: float = 0.0
    accumulate: int = 1
    ema: float = 0.0

    def init(self, params: Any, total: int) -> OptimizerState:
        """The state before the first of `total` updates."""
        return OptimizerState(
            transformation=self._transformation(self.learning_rate).init(params),
            updates=jnp.int32(0),
            total=jnp.int32(total),
            plateau=schedules.start(),
            average=params if self.ema else {},
        )

    def update(self, gradients: Any, state: OptimizerState, params: Any) -> tuple[Any, OptimizerState, jax.Array]:
        """The parameters and the state after one batch, and the factor of the learning rate that moved them.

        gradients: of the global batch. The factor is NaN where the batch makes no update yet (see `accumulate`).
        """
        factor = self.schedule(state.updates / state.total) * state.plateau.scale
        transformation = self._transformation(self.learning_rate * factor)
        updates, moved = transformation.update(gradients, state.transformation, params)
        params = optax.apply_updates(params, updates)
        moves = jnp.bool_(True) if self.accumulate == 1 else moved.mini_step == 0
        count = state.updates + moves
        state = state.replace(transformation=moved, updates=count, average=self._averaged(state, params, count, moves))
        return params, state, jnp.where(moves, factor, jnp.nan)

    def after_epoch(self, state: OptimizerState, loss: float) -> OptimizerState:
        """The state after an epoch with this validation loss."""
        if not isinstance(self.schedule, OnPlateau):
            return state
        return state.replace(plateau=self.schedule.update(state.plateau, jnp.float32(loss)))

    def evaluated(self, state: OptimizerState, params: Any) -> Any:
        """The parameters that are evaluated, selected and kept: their average, or themselves."""
        return state.average if self.ema else params

    def _transformation(self, rate: Any) -> optax.GradientTransformation:
        transformation = self.rule(learning_rate=rate)
        if self.clip_norm:
            transformation = optax.chain(optax.clip_by_global_norm(self.clip_norm), transformation)
        if self.accumulate > 1:
            transformation = optax.MultiSteps(transformation, self.accumulate).gradient_transformation()
        return transformation

    def _averaged(self, state: OptimizerState, params: Any, count: jax.Array, moves: jax.Array) -> Any:
        if not self.ema:
            return state.average
        whole = -jnp.expm1(count * math.log(self.ema))  # 1 − d^t, which a subtraction would round away
        share = jnp.where(moves, (1 - self.ema) / whole, 0.0)
        return jax.tree.map(lambda average, new: average + share * (new - average), state.average, params)


def make(optimizer: OptimizerSettings, schedule: ScheduleSettings, training: TrainingSettings, where: str) -> Optimizer:
    """The optimiser of these sections of the stage `where`; raises UsageError for what cannot be."""
    rule, shape = _rule(optimizer, f"{where}.optimizer"), _schedule(schedule, f"{where}.schedule")
    if schedule.name != "constant" and not _follows(rule):
        raise UsageError(
            f"{where}.schedule is {schedule.name}, but {optimizer.name} does not follow one: it takes constant"
        )
    return Optimizer(rule, optimizer.learning_rate, shape, optimizer.clip_norm, optimizer.accumulate, training.ema)


def _rule(settings: OptimizerSettings, where: str) -> Bound:
    part = parts.find(f"{where}.name", settings.name, OPTIMIZERS)
    if "learning_rate" in settings.options:
        raise UsageError(f"{where}.options has no learning_rate: it is {where}.learning_rate")
    parts.check_options(part, {"learning_rate": settings.learning_rate, **settings.options}, f"{where}.options")
    rule = Bound(part, settings.options)
    refused = f"{where}.name is {settings.name}, which cannot train here"
    with parts.blamed(refused):
        before, after, params, updates = _shapes(rule)
    if jax.tree.map(_shape, updates) != jax.tree.map(_shape, params):
        raise UsageError(f"{refused}: its updates are not like the parameters")
    if jax.tree.map(_shape, before) != jax.tree.map(_shape, after):
        raise UsageError(f"{refused}: its state changes its shape")
    if isinstance(before, optax.contrib.ScheduleFreeState):
        raise UsageError(f"{refused}: it is evaluated at other parameters than it trains; training.ema averages too")
    return rule


@functools.lru_cache(maxsize=32)
def _shapes(rule: Bound) -> tuple[Any, Any, Any, Any]:
    return jax.eval_shape(functools.partial(_two_updates, rule), jnp.float32(1))


def _two_updates(rule: Bound, rate: jax.Array) -> tuple[Any, Any, Any, Any]:
    """Of small parameters: the states before and after, the parameters, and the second of two updates."""
    params = {"bias": jnp.ones(2), "kernel": jnp.ones((3, 2))}
    before = rule(learning_rate=1.0).init(params)
    _, after = rule(learning_rate=1.0).update(params, before, params)
    updates, after = rule(learning_rate=rate).update(params, after, params)
    return before, after, params, updates


@functools.lru_cache(maxsize=32)
def _follows(rule: Bound) -> bool:
    """Whether an update depends on the rate that it is made with."""
    one, two = (jax.jit(lambda rate: _two_updates(rule, rate)[-1])(jnp.float32(rate)) for rate in (1, 2))
    return any(bool(jnp.any(a != b)) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True))


def _shape(leaf: Any) -> tuple[Any, Any]:
    return leaf.shape, leaf.dtype


def _schedule(settings: ScheduleSettings, where: str) -> Callable[[jax.Array], jax.Array]:
    part = parts.find(f"{where}.name", settings.name, SCHEDULES)
    if part is OnPlateau:
        parts.check_options(OnPlateau, settings.options, f"{where}.options")
        return OnPlateau(**settings.options)
    progress = jax.ShapeDtypeStruct((), jnp.float32)
    parts.check_options(part, settings.options, f"{where}.options", progress)
    schedule = Bound(part, settings.options)
    with parts.blamed(f"{where}.name is {settings.name}"):
        if getattr(jax.eval_shape(schedule, progress), "shape", None) != ():
            raise UsageError(f"{where}.name is {settings.name}: it gives no single number")
        factors = _factors(schedule)
    if not all(map(_FACTORS.holds, factors)) or not any(factors):
        raise UsageError(
            f"{where}.name is {settings.name}, whose factors are {', '.join(f'{one:g}' for one in factors)} at equal "
            "steps of progress: they have to be finite, 0 or more, and not 0 throughout"
        )
    return schedule


@functools.lru_cache(maxsize=32)
def _factors(schedule: Bound) -> tuple[float, ...]:
    """The factors of a schedule at equal steps of progress."""
    factor = jax.jit(schedule)
    return tuple(float(factor(jnp.float32(step / 8))) for step in range(8))
