"""An objective: one loss bound to K grades and its options, with the meaning of its outputs and its decision."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from ordinal_blast import parts
from ordinal_blast.errors import needs, one_line
from ordinal_blast.objectives import arguments, numerics, options
from ordinal_blast.objectives.families import Family, Rescaled, Softmax
from ordinal_blast.objectives.loss import RULES, AnyLoss, Spec, fact, option_defaults

if TYPE_CHECKING:
    import flax.linen as nn


@dataclasses.dataclass(frozen=True)
class Objective:
    """One loss bound to K grades and its options; hashable, and every method but `fit` is pure.

    Made by `ordinal_blast.objectives.get`. Shapes: outputs `[B, num_outputs]` raw, labels `[B]` int in 0 ... K-1 (or
    `[B, K]` distributions where the loss takes them), weights `[B]` finite and not negative, 0 for what must not count.
    Weights and soft labels that break this are refused where their values are known; traced, they make the loss NaN.
    """

    name: str
    function: AnyLoss
    family: Family
    bound: tuple[tuple[str, Any], ...] = ()
    shift: tuple[float, ...] = ()  # of the K logits, in the loss alone; see `adjusted`

    @property
    def spec(self) -> Spec:
        """Facts of the loss."""
        return self.function.spec

    @property
    def num_classes(self) -> int:
        """K."""
        return self.family.num_classes

    @property
    def num_outputs(self) -> int:
        """Number of raw outputs."""
        return self.family.num_outputs

    @property
    def options(self) -> dict[str, Any]:
        """Every option with its value, defaults included."""
        return dict(self.bound)

    @property
    def estimates(self) -> str:
        """What the optimum tells of the truth, with these options; see `objective`."""
        return fact(self.spec.estimates, self.options)

    @property
    def proper(self) -> bool:
        """Whether the loss is strictly proper with these options, for any truth."""
        return bool(fact(self.spec.proper, self.options)) and not self.spec.truths

    @property
    def unimodal(self) -> bool:
        """Whether all outputs mean probabilities of one peak, with these options."""
        return fact(self.spec.unimodal, self.options)

    @property
    def fitted(self) -> dict[str, Any]:
        """What `fit` has bound, JSON-ready; give it to `get(..., fitted=...)` to bind it again."""
        return self.family.fitted

    def layer(self, name: str | None = None) -> nn.Module:
        """The Linen module that makes the outputs: features `[B, D]` -> `[B, num_outputs]`, with float32 parameters."""
        with needs("study"):
            from ordinal_blast.objectives.layers import LAYERS
        return parts.find("layer", self.family.layer, LAYERS)(self.num_outputs, name=name)

    def loss(self, outputs: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> jax.Array:
        """Scalar sum(weights * losses) / sum(weights), 0 if all weights are 0; rows of weight 0 may hold anything."""
        if self.spec.batch_coupled:
            return self.function(self._shifted(outputs), labels, weights, **self._loss_options)
        weights = arguments.weights_of(weights, numerics.widen(outputs))
        losses = self.losses(*arguments.masked(jnp.asarray(outputs), jnp.asarray(labels), weights))
        total = jnp.sum(weights)
        mean = jnp.sum(weights * losses) / jnp.where(total > 0, total, 1)
        return jnp.where(jnp.all(weights >= 0), mean, jnp.nan)

    def losses(self, outputs: ArrayLike, labels: ArrayLike) -> jax.Array:
        """Loss of each example, `[B]`. ValueError where the loss is of the batch as a whole."""
        if self.spec.batch_coupled:
            raise ValueError(f"{self.name} is a loss of the whole batch and has no loss per example: use loss()")
        return self.function(self._shifted(outputs), labels, **self._loss_options)

    def log_probs(self, outputs: ArrayLike) -> jax.Array:
        """Class log-probabilities `[B, K]`."""
        return self.family.log_probs(self._check_outputs(outputs))

    def predict(self, outputs: ArrayLike, rule: str = "native") -> jax.Array:
        """Decided grade, int `[B]`: by the loss's own rule, or mode, median or rounded mean of the probabilities."""
        if rule not in RULES:
            raise ValueError(f"rule must be one of {RULES}, got {rule!r}")
        rule = self.spec.native if rule == "native" else rule
        decide = self.family.decide if rule == "native" else getattr(self.family, rule)
        return decide(self._check_outputs(outputs))

    def decision(self, rule: str = "native") -> str:
        """What a rule decides for this objective, in words for reports, never "native": "mode", "median", "mean", ...

        Where something fitted or rounded decides it says so, for example "median (fitted cut points)".
        """
        if rule not in RULES:
            raise ValueError(f"rule must be one of {RULES}, got {rule!r}")
        return self.family.decision(self.spec.native if rule == "native" else rule)

    def corrected(self, class_weights: Sequence[float]) -> Self:
        """The objective whose probabilities, decisions and score undo the class weights `[K]` of its training.

        A strictly proper loss under weights w estimates q_k in proportion to w_k times the truth: p_k ~ q_k / w_k.
        ValueError where the loss is not strictly proper, or unless the K weights are positive.
        """
        if not self.proper:
            where = f" beyond {self.spec.truths} truths" if self.spec.truths else ""
            raise ValueError(
                f"{self.name} is not strictly proper{where}: what class weights did to its probabilities is not known"
            )
        weights = np.asarray(class_weights, np.float64)
        if weights.shape != (self.num_classes,) or not np.all(np.isfinite(weights) & (weights > 0)):
            raise ValueError(
                f"class_weights: {self.num_classes} finite positive numbers are needed, got {class_weights}"
            )
        return self.rescaled(np.ones(self.num_classes), -np.log(weights))

    def adjusted(self, shift: ArrayLike) -> Self:
        """The objective whose loss is that of logits + shift, `[K]`; probabilities and decisions are of the logits.

        With shift = log shares of the grades, the logits mean grades as if all were equally common (logit-adjusted
        loss, Menon et al. 2021). ValueError where the outputs are no K logits, or unless shift is K finite numbers.
        """
        values = np.asarray(shift, np.float64)
        if not isinstance(self.family, Softmax):
            raise ValueError(
                f"{self.name} has no logit for every grade: its outputs are those of {type(self.family).__name__}"
            )
        if values.shape != (self.num_classes,) or not np.isfinite(values).all():
            raise ValueError(f"shift: {self.num_classes} finite numbers are needed, got {shift}")
        return dataclasses.replace(self, shift=tuple(map(float, values)))

    def rescaled(self, slope: ArrayLike, offset: ArrayLike) -> Self:
        """The objective whose log-probabilities are log softmax(slope * log p + offset), slope and offset `[K]`.

        Calibration after training: rules decide by the rescaled probabilities and the score ranks by them; what decides
        or ranks by the outputs themselves (regressions) stays. ValueError unless both are K finite numbers.
        """
        pair = [np.asarray(values, np.float64) for values in (slope, offset)]
        if any(values.shape != (self.num_classes,) or not np.isfinite(values).all() for values in pair):
            raise ValueError(
                f"slope and offset: {self.num_classes} finite numbers are needed, got {slope} and {offset}"
            )
        of_slope, of_offset = (tuple(map(float, values)) for values in pair)
        return dataclasses.replace(self, family=Rescaled(self.num_classes, self.family, of_slope, of_offset))

    def score(self, outputs: ArrayLike) -> jax.Array:
        """One number per example that ranks it, `[B]`: the log odds log(E / (K-1 - E)) of the expected grade E.

        It rises with E and never rounds to an end of the scale, so that confident examples keep their order. The raw
        output for regressions.
        """
        return self.family.score(self._check_outputs(outputs))

    def expected(self, outputs: ArrayLike) -> jax.Array:
        """The expected grade, `[B]`, to be read; to rank, use `score`. The raw output, unclipped, for regressions."""
        return self.family.expected(self._check_outputs(outputs))

    def fit(self, outputs: Any, labels: Any, weights: Any = None) -> Self:
        """The objective with what its decision needs from training predictions; itself where nothing is fitted.

        On the host, in float64. Rows of weight 0 do not count; ValueError if no row is left, a label is not a grade or
        a weight is negative or not finite.
        """
        if not self.family.fitted_fields:
            return self
        outputs, labels = np.asarray(outputs, np.float64), np.asarray(labels)
        weights = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64)
        arguments.check_weights(weights)
        kept = weights > 0
        if not kept.any():
            raise ValueError(f"{self.name} fits its decision on labelled examples, and there are none")
        outputs, labels, weights = outputs[kept], labels[kept], weights[kept]
        if labels.ndim != 1 or labels.min() < 0 or labels.max() >= self.num_classes:
            raise ValueError(f"{self.name} is fitted on labels [N] in 0 ... {self.num_classes - 1}")
        return dataclasses.replace(self, family=self.family.fit(outputs, labels, weights))

    def _shifted(self, outputs: ArrayLike) -> ArrayLike:
        if not self.shift:
            return outputs
        logits = self._check_outputs(outputs)
        return logits + jnp.asarray(self.shift, logits.dtype)[None, :]

    @property
    def _loss_options(self) -> dict[str, Any]:
        accepted = option_defaults(self.function)
        return {name: value for name, value in self.bound if name in accepted} | {"num_classes": self.num_classes}

    def _check_outputs(self, outputs: ArrayLike) -> jax.Array:
        outputs = numerics.widen(outputs)
        if outputs.ndim != 2 or outputs.shape[1] != self.num_outputs:
            raise ValueError(f"{self.name}: outputs must be [B, {self.num_outputs}], got {list(outputs.shape)}")
        return outputs


def bind(
    name: str, loss: AnyLoss, num_classes: int, chosen: Mapping[str, Any], fitted: Mapping[str, Any] | None
) -> Objective:
    """Objective of a decorated loss: options checked by name and value, what it returns in a trial trace."""
    if not isinstance(num_classes, (int, np.integer)) or num_classes < 2:
        raise ValueError(f"{name}: num_classes must be an integer of at least 2, got {num_classes!r}")
    kind = loss.spec.family
    defaults = {
        f.name: f.default for f in dataclasses.fields(kind) if f.name not in {"num_classes", *kind.fitted_fields}
    }
    of_family = set(defaults)
    defaults |= option_defaults(loss)
    if unknown := sorted(set(chosen) - set(defaults)):
        raise ValueError(f"{name} has no option {', '.join(unknown)}; it has {sorted(defaults) or 'none'}")
    bound = {key: _freeze(value) for key, value in (defaults | dict(chosen)).items()}
    if missing := [key for key, value in bound.items() if value is inspect.Parameter.empty]:
        raise ValueError(f"{name} needs its option {', '.join(missing)}, which has no default")
    for thing in (kind, loss):
        options.check(name, thing, bound, num_classes)
    family = kind(num_classes, **{key: bound[key] for key in of_family})
    objective = Objective(name, loss, family.rebind(fitted or {}), tuple(sorted(bound.items())))
    _try(objective)
    return objective


@functools.lru_cache(maxsize=128)
def _try(objective: Objective) -> None:
    """Trace the loss on a batch of a size that neither width nor K has: a wrong loss fails here, not in training."""
    count = objective.num_classes + objective.num_outputs
    outputs = jax.ShapeDtypeStruct((count, objective.num_outputs), jnp.float32)
    labels = jax.ShapeDtypeStruct((count,), jnp.int32)
    try:
        jax.eval_shape(objective.loss, outputs, labels)
    except ValueError:
        raise
    except Exception as error:  # of a user's own loss
        raise ValueError(
            f"{objective.name} fails for outputs [B, {objective.num_outputs}] and labels [B]: {one_line(error)}"
        ) from error


def _freeze(value: Any) -> Any:
    """Hashable form of an option: sequences and arrays become tuples."""
    if isinstance(value, (list, tuple)) or (isinstance(value, (np.ndarray, jax.Array)) and value.ndim):
        return tuple(_freeze(v) for v in value)
    return value.item() if isinstance(value, (np.generic, np.ndarray, jax.Array)) else value
