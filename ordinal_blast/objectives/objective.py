"""An objective: one loss bound to K grades and its options, with the meaning of its outputs and its decision."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from ordinal_blast import parts
from ordinal_blast.errors import needs, told
from ordinal_blast.objectives import arguments, numerics, options
from ordinal_blast.objectives.families import Corrected, Family, Softmax

if TYPE_CHECKING:
    import flax.linen as nn

RULES = ("native", "mode", "median", "mean")
ESTIMATES = ("distribution", "mode", "median", "mean", "rounded mean", "")
T = TypeVar("T")
Fact = T | Callable[..., T]  # what is true of a loss: always, or as a function of its options


@dataclasses.dataclass(frozen=True)
class Spec:
    """What is true of a loss for any K: the family of its outputs and the facts of its row in `objectives.table()`."""

    family: type[Family]
    native: str  # the rule of predict(rule="native"); "native" leaves it to the family
    soft_labels: bool
    batch_coupled: bool
    citation: str
    estimates: Fact[str]
    proper: Fact[bool]
    truths: str
    unimodal: Fact[bool]
    same_as: str
    note: str


def objective(
    family: type[Family] = Softmax,
    *,
    native: str = "native",
    soft_labels: bool = False,
    batch_coupled: bool = False,
    citation: str = "",
    estimates: Fact[str] = "",
    proper: Fact[bool] = False,
    truths: str = "",
    unimodal: Fact[bool] = False,
    same_as: str = "",
    note: str = "",
) -> Callable[[Callable[..., jax.Array]], Callable[..., jax.Array]]:
    """Makes a loss of a function `(outputs [B, width], labels [B], *, options) -> [B]`.

    The function then checks shapes, computes in float32 or wider, and gives NaN where a label is outside 0 ... K-1; it
    also takes `num_classes`, for families whose width does not tell K. Its keyword-only parameters are its options.

    family: what gives the outputs their meaning. native: the decision that belongs to the loss.
    soft_labels: labels may be distributions `[B, K]`. batch_coupled: the function takes `weights [B]` third and returns
    a scalar.

    estimates: what the optimum over all outputs tells of the truth: "distribution" (all of it), "mean" (its
    expected grade is the truth's), or what its native decision is, "mode", "median" or "rounded mean"; "" where theory
    gives no clean answer. proper: whether the loss is strictly proper, so that its probabilities are those of the
    truth. truths: where these two hold for some truths only, which. unimodal: whether all outputs mean one peak. Each
    of the three facts is a value, or a function of options, by their names. same_as: an objective that it equals by
    default, up to a factor. note: what else a reader must know before choosing it.
    """
    if native not in RULES or not (callable(estimates) or estimates in ESTIMATES):
        raise ValueError(
            f"native must be one of {RULES} and estimates one of {ESTIMATES}: got {native!r}, {estimates!r}"
        )
    spec = Spec(
        family, native, soft_labels, batch_coupled, citation, estimates, proper, truths, unimodal, same_as, note
    )

    def decorate(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
        asks_for_classes = "num_classes" in inspect.signature(function).parameters

        def prepare(
            outputs: Any, labels: Any, num_classes: int | None, given: dict[str, Any]
        ) -> tuple[jax.Array, jax.Array, int | None, dict[str, Any]]:
            outputs, labels, num_classes = arguments.arrays(
                function.__name__, spec.family, spec.soft_labels, outputs, labels, num_classes
            )
            options.check(function.__name__, function, given, num_classes)
            if asks_for_classes and num_classes is None:
                raise ValueError(
                    f"{function.__name__} needs num_classes: its {spec.family.width} outputs do not tell it"
                )
            return outputs, labels, num_classes, given | ({"num_classes": num_classes} if asks_for_classes else {})

        if batch_coupled:

            @functools.wraps(function)
            def loss(
                outputs: Any, labels: Any, weights: Any = None, *, num_classes: int | None = None, **options: Any
            ) -> jax.Array:
                outputs, labels, num_classes, options = prepare(outputs, labels, num_classes, options)
                weights = arguments.weights_of(weights, outputs)
                shown, known = arguments.masked(outputs, labels, weights)
                arguments.check_distributions(function.__name__, known)
                value = function(shown, known, weights, **options)
                arguments.check_result(function.__name__, value, ())
                valid = jnp.all(arguments.valid(labels, num_classes) | (weights == 0)) & jnp.all(weights >= 0)
                return jnp.where(valid, value, jnp.nan)

        else:

            @functools.wraps(function)
            def loss(outputs: Any, labels: Any, *, num_classes: int | None = None, **options: Any) -> jax.Array:
                outputs, labels, num_classes, options = prepare(outputs, labels, num_classes, options)
                arguments.check_distributions(function.__name__, labels)
                value = function(outputs, labels, **options)
                arguments.check_result(function.__name__, value, (len(outputs),))
                return jnp.where(arguments.valid(labels, num_classes), value, jnp.nan)

        loss.spec = spec
        return loss

    return decorate


@dataclasses.dataclass(frozen=True)
class Objective:
    """One loss bound to K grades and its options; hashable, and every method but `fit` is pure.

    Made by `ordinal_blast.objectives.get`. Shapes: outputs `[B, num_outputs]` raw, labels `[B]` int in 0 ... K-1 (or
    `[B, K]` distributions where the loss takes them), weights `[B]` finite and not negative, 0 for what must not count.
    Weights and soft labels that break this are refused where their values are known; traced, they make the loss NaN.
    """

    name: str
    function: Callable[..., jax.Array]
    family: Family
    bound: tuple[tuple[str, Any], ...] = ()

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
        return _fact(self.spec.estimates, self.options)

    @property
    def proper(self) -> bool:
        """Whether the loss is strictly proper with these options, for any truth."""
        return bool(_fact(self.spec.proper, self.options)) and not self.spec.truths

    @property
    def unimodal(self) -> bool:
        """Whether all outputs mean probabilities of one peak, with these options."""
        return _fact(self.spec.unimodal, self.options)

    @property
    def fitted(self) -> dict[str, Any]:
        """What `fit` has bound, JSON-ready; give it to `get(..., fitted=...)` to bind it again."""
        return self.family.fitted

    def layer(self, name: str | None = None) -> nn.Module:
        """The Linen module that makes the outputs: features `[B, D]` -> `[B, num_outputs]`, with float32 parameters."""
        with needs("study"):
            from ordinal_blast.objectives.layers import LAYERS
        return parts.find("layer", self.family.layer, LAYERS)(self.num_outputs, name=name)

    def loss(self, outputs: jax.Array, labels: jax.Array, weights: jax.Array | None = None) -> jax.Array:
        """Scalar sum(weights * losses) / sum(weights), 0 if all weights are 0; rows of weight 0 may hold anything."""
        if self.spec.batch_coupled:
            return self.function(outputs, labels, weights, **self._loss_options)
        weights = arguments.weights_of(weights, numerics.widen(outputs))
        losses = self.losses(*arguments.masked(jnp.asarray(outputs), jnp.asarray(labels), weights))
        total = jnp.sum(weights)
        mean = jnp.sum(weights * losses) / jnp.where(total > 0, total, 1)
        return jnp.where(jnp.all(weights >= 0), mean, jnp.nan)

    def losses(self, outputs: jax.Array, labels: jax.Array) -> jax.Array:
        """Loss of each example, `[B]`. ValueError where the loss is of the batch as a whole."""
        if self.spec.batch_coupled:
            raise ValueError(f"{self.name} is a loss of the whole batch and has no loss per example: use loss()")
        return self.function(outputs, labels, **self._loss_options)

    def log_probs(self, outputs: jax.Array) -> jax.Array:
        """Class log-probabilities `[B, K]`."""
        return self.family.log_probs(self._check_outputs(outputs))

    def predict(self, outputs: jax.Array, rule: str = "native") -> jax.Array:
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
        log_weights = tuple(float(w) for w in np.log(weights))
        return dataclasses.replace(self, family=Corrected(self.num_classes, self.family, log_weights))

    def score(self, outputs: jax.Array) -> jax.Array:
        """One number per example that ranks it, `[B]`: the log odds log(E / (K-1 - E)) of the expected grade E.

        It rises with E and never rounds to an end of the scale, so that confident examples keep their order. The raw
        output for regressions.
        """
        return self.family.score(self._check_outputs(outputs))

    def expected(self, outputs: jax.Array) -> jax.Array:
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

    @property
    def _loss_options(self) -> dict[str, Any]:
        accepted = option_defaults(self.function)
        return {name: value for name, value in self.bound if name in accepted} | {"num_classes": self.num_classes}

    def _check_outputs(self, outputs: jax.Array) -> jax.Array:
        outputs = numerics.widen(outputs)
        if outputs.ndim != 2 or outputs.shape[1] != self.num_outputs:
            raise ValueError(f"{self.name}: outputs must be [B, {self.num_outputs}], got {list(outputs.shape)}")
        return outputs


def bind(
    name: str, function: Callable[..., jax.Array], num_classes: int, given: Mapping[str, Any], fitted: Mapping | None
) -> Objective:
    """Objective of a decorated loss: options checked by name and value, what it returns in a trial trace."""
    if not isinstance(num_classes, (int, np.integer)) or num_classes < 2:
        raise ValueError(f"{name}: num_classes must be an integer of at least 2, got {num_classes!r}")
    kind = function.spec.family
    defaults = {
        f.name: f.default for f in dataclasses.fields(kind) if f.name not in {"num_classes", *kind.fitted_fields}
    }
    of_family = set(defaults)
    defaults |= option_defaults(function)
    if unknown := sorted(set(given) - set(defaults)):
        raise ValueError(f"{name} has no option {', '.join(unknown)}; it has {sorted(defaults) or 'none'}")
    bound = {key: _freeze(value) for key, value in (defaults | dict(given)).items()}
    if missing := [key for key, value in bound.items() if value is inspect.Parameter.empty]:
        raise ValueError(f"{name} needs its option {', '.join(missing)}, which has no default")
    for thing in (kind, function):
        options.check(name, thing, bound, num_classes)
    family = kind(num_classes, **{key: bound[key] for key in of_family})
    made = Objective(name, function, family.rebind(fitted or {}), tuple(sorted(bound.items())))
    _try(made)
    return made


def _try(made: Objective) -> None:
    """Trace the loss on a batch of a size that neither width nor K has: a wrong loss fails here, not in training."""
    count = made.num_classes + made.num_outputs
    outputs = jax.ShapeDtypeStruct((count, made.num_outputs), jnp.float32)
    labels = jax.ShapeDtypeStruct((count,), jnp.int32)
    try:
        jax.eval_shape(made.loss, outputs, labels)
    except ValueError:
        raise
    except Exception as error:  # of a user's own loss
        raise ValueError(
            f"{made.name} fails for outputs [B, {made.num_outputs}] and labels [B]: {told(error)}"
        ) from error


def is_objective(thing: Any) -> bool:
    """Whether something is a function that `objective` made a loss of."""
    return isinstance(getattr(thing, "spec", None), Spec)


def _fact(fact: Fact[T], given: Mapping[str, Any]) -> T:
    """A fact of a loss with these options."""
    if not callable(fact):
        return fact
    return fact(**{name: given[name] for name in inspect.signature(fact).parameters if name in given})


@functools.cache
def option_defaults(function: Callable[..., jax.Array]) -> dict[str, Any]:
    """Keyword-only parameters of a loss with their defaults, without `num_classes`."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "num_classes"}


def _freeze(value: Any) -> Any:
    """Hashable form of an option: sequences and arrays become tuples."""
    if isinstance(value, (list, tuple)) or (isinstance(value, (np.ndarray, jax.Array)) and value.ndim):
        return tuple(_freeze(v) for v in value)
    return value.item() if isinstance(value, (np.generic, np.ndarray, jax.Array)) else value
