"""A loss: a function of raw outputs and labels that checks what it gets, with the facts to know before choosing it."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, TypeAlias, TypeGuard, TypeVar, overload

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ordinal_blast.objectives import arguments, options
from ordinal_blast.objectives.families import Family, Softmax

RULES = ("native", "mode", "median", "mean")
ESTIMATES = ("distribution", "mode", "median", "mean", "rounded mean", "")
P = ParamSpec("P")
T = TypeVar("T")
Fact: TypeAlias = T | Callable[..., T]  # what is true of a loss: always, or as a function of its options


@dataclasses.dataclass(frozen=True)
class Spec:
    """What is true of a loss for any K: the family of its outputs and the facts of its row in `objectives.table()`."""

    family: type[Family]
    native: str  # the rule of predict(rule="native"); "native" leaves it to the family
    soft_labels: bool
    batch_coupled: bool
    cites: tuple[str, ...]
    estimates: Fact[str]
    proper: Fact[bool]
    truths: str
    unimodal: Fact[bool]
    same_as: str
    note: str


class Loss(Protocol[P]):
    """A loss of examples, `loss(outputs [B, width], labels [B], *, options) -> [B]`, made by `objective`.

    Every one also takes `num_classes`, for which labels of K or more are NaN; a type checker sees it where a loss
    cannot do without.
    """

    spec: Spec
    __name__: str

    def __hash__(self) -> int:
        """That of the function."""

    def __call__(self, outputs: ArrayLike, labels: ArrayLike, *args: P.args, **kwargs: P.kwargs) -> jax.Array:
        """`[B]`."""


class BatchLoss(Protocol[P]):
    """A loss of the batch as a whole, `loss(outputs [B, width], labels [B], weights [B], *, options) -> []`."""

    spec: Spec
    __name__: str

    def __hash__(self) -> int:
        """That of the function."""

    def __call__(
        self, outputs: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None, *args: P.args, **kwargs: P.kwargs
    ) -> jax.Array:
        """A scalar."""


AnyLoss: TypeAlias = Loss[...] | BatchLoss[...]
_OfExamples: TypeAlias = Callable[Concatenate[jax.Array, jax.Array, P], jax.Array]
_OfBatch: TypeAlias = Callable[Concatenate[jax.Array, jax.Array, jax.Array, P], jax.Array]


@overload
def objective(
    family: type[Family] = Softmax,
    *,
    batch_coupled: Literal[False] = False,
    native: str = "native",
    soft_labels: bool = False,
    cites: tuple[str, ...] = (),
    estimates: Fact[str] = "",
    proper: Fact[bool] = False,
    truths: str = "",
    unimodal: Fact[bool] = False,
    same_as: str = "",
    note: str = "",
) -> Callable[[_OfExamples[P]], Loss[P]]: ...


@overload
def objective(
    family: type[Family] = Softmax,
    *,
    batch_coupled: Literal[True],
    native: str = "native",
    soft_labels: bool = False,
    cites: tuple[str, ...] = (),
    estimates: Fact[str] = "",
    proper: Fact[bool] = False,
    truths: str = "",
    unimodal: Fact[bool] = False,
    same_as: str = "",
    note: str = "",
) -> Callable[[_OfBatch[P]], BatchLoss[P]]: ...


def objective(
    family: type[Family] = Softmax,
    *,
    batch_coupled: bool = False,
    native: str = "native",
    soft_labels: bool = False,
    cites: tuple[str, ...] = (),
    estimates: Fact[str] = "",
    proper: Fact[bool] = False,
    truths: str = "",
    unimodal: Fact[bool] = False,
    same_as: str = "",
    note: str = "",
) -> Callable[[Callable[..., jax.Array]], Any]:
    """Makes a loss of a function `(outputs [B, width], labels [B], *, options) -> [B]`.

    The loss checks shapes, computes in float32 or wider, and gives NaN where a label is outside 0 ... K-1. The
    function's keyword-only parameters are its options; the loss keeps them in its signature.

    family: what gives the outputs their meaning. native: the decision that belongs to the loss.
    soft_labels: labels may be distributions `[B, K]`. batch_coupled: the function takes `weights [B]` third and returns
    a scalar. cites: keys of `references.bib`.

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
    spec = Spec(family, native, soft_labels, batch_coupled, cites, estimates, proper, truths, unimodal, same_as, note)

    def decorate(function: Callable[..., jax.Array]) -> Any:
        stated = inspect.signature(function)

        def prepare(
            outputs: ArrayLike, labels: ArrayLike, num_classes: int | None, chosen: dict[str, Any]
        ) -> tuple[jax.Array, jax.Array, int | None, dict[str, Any]]:
            outputs, labels, num_classes = arguments.arrays(
                function.__name__, family, soft_labels, outputs, labels, num_classes
            )
            options.check(function.__name__, function, chosen, num_classes)
            if "num_classes" in stated.parameters:
                if num_classes is None:
                    raise ValueError(
                        f"{function.__name__} needs num_classes: its {family.width} outputs do not tell it"
                    )
                chosen = chosen | {"num_classes": num_classes}
            return outputs, labels, num_classes, chosen

        def of_batch(
            outputs: ArrayLike,
            labels: ArrayLike,
            weights: ArrayLike | None = None,
            *,
            num_classes: int | None = None,
            **options: Any,
        ) -> jax.Array:
            outputs, labels, num_classes, options = prepare(outputs, labels, num_classes, options)
            weights = arguments.weights_of(weights, outputs)
            shown, known = arguments.masked(outputs, labels, weights)
            arguments.check_distributions(function.__name__, known)
            value = function(shown, known, weights, **options)
            arguments.check_result(function.__name__, value, ())
            valid = jnp.all(arguments.valid(labels, num_classes) | (weights == 0)) & jnp.all(weights >= 0)
            return jnp.where(valid, value, jnp.nan)

        def of_examples(
            outputs: ArrayLike, labels: ArrayLike, *, num_classes: int | None = None, **options: Any
        ) -> jax.Array:
            outputs, labels, num_classes, options = prepare(outputs, labels, num_classes, options)
            arguments.check_distributions(function.__name__, labels)
            value = function(outputs, labels, **options)
            arguments.check_result(function.__name__, value, (len(outputs),))
            return jnp.where(arguments.valid(labels, num_classes), value, jnp.nan)

        checked = of_batch if batch_coupled else of_examples
        positional = [p for p in inspect.signature(checked).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
        loss: Any = functools.wraps(function)(checked)
        loss.__signature__ = stated.replace(parameters=[*positional, *_options(stated)])
        loss.spec = spec
        return loss

    return decorate


def is_objective(thing: Any) -> TypeGuard[AnyLoss]:
    """Whether something is a function that `objective` made a loss of."""
    return isinstance(getattr(thing, "spec", None), Spec)


@functools.cache
def option_defaults(loss: AnyLoss) -> dict[str, Any]:
    """Keyword-only parameters of a loss with their defaults, without `num_classes`."""
    return {p.name: p.default for p in _options(inspect.signature(loss)) if p.name != "num_classes"}


def fact(known: Fact[T], chosen: Mapping[str, Any]) -> T:
    """A fact of a loss with these options."""
    if not callable(known):
        return known
    value: T = known(**{name: chosen[name] for name in inspect.signature(known).parameters if name in chosen})
    return value


def _options(signature: inspect.Signature) -> list[inspect.Parameter]:
    return [p for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY]
