"""What raw outputs mean: for every family their number, class log-probabilities, decision and score.

Ranking is exact at both ends of the scale: a score is the log odds of the expected grade, which no logits saturate
there.

A family is a frozen dataclass: `num_classes`, its options, and what `fit` has bound. `layer` names the Flax layer that
makes its outputs (`ordinal_blast.objectives.layers.LAYERS`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import jax
import jax.numpy as jnp
import numpy as np

from ordinal_blast.objectives import cut_points, normal, numerics


@dataclasses.dataclass(frozen=True)
class Family:
    """Meaning of outputs `[B, width]` for K ordered grades; subclasses give `log_probs` and what differs."""

    num_classes: int

    layer: ClassVar[str] = "dense"
    fitted_fields: ClassVar[tuple[str, ...]] = ()  # bound by `fit`, stored with the run
    width: ClassVar[int | None] = None  # a fixed width, or None: num_classes + extra
    extra: ClassVar[int] = 0
    decides: ClassVar[str] = "mode"  # what `decide` decides of the probabilities

    @property
    def num_outputs(self) -> int:
        """Number of raw outputs."""
        return self.num_classes + self.extra if self.width is None else self.width

    def log_probs(self, outputs: jax.Array) -> jax.Array:
        """Class log-probabilities `[B, K]`."""
        raise NotImplementedError

    def decide(self, outputs: jax.Array) -> jax.Array:
        """The family's own decision, int `[B]`: by default the most probable grade."""
        return self.mode(outputs)

    def decision(self, rule: str) -> str:
        """What a rule decides, in words for reports: for "native" what `decide` does, else the rule's own name."""
        return self.decides if rule == "native" else rule

    def by_outputs(self, rule: str) -> bool:
        """Whether a rule decides by the outputs themselves, whatever probabilities they mean."""
        del rule
        return False

    def expected(self, outputs: jax.Array) -> jax.Array:
        """The expected grade E `[B]`, in 0 ... K-1; it rounds to the ends for confident outputs, `score` does not."""
        probs = jnp.exp(self.log_probs(outputs))
        return jnp.sum(probs * jnp.arange(self.num_classes, dtype=probs.dtype)[None, :], axis=-1)

    def score(self, outputs: jax.Array) -> jax.Array:
        """log(E / (K-1 - E)) `[B]` of the expected grade E, by logsumexps: it ranks as E does, not rounded at the ends.

        At an inner grade it rounds as E does: in float32, two examples tie that are sure of it by logits of 16 or more.
        """
        log_probs = self.log_probs(outputs)
        rising = jnp.log(jnp.arange(1, self.num_classes, dtype=log_probs.dtype))[None, :]
        reached = jax.nn.logsumexp(log_probs[:, 1:] + rising, axis=-1)
        return reached - jax.nn.logsumexp(log_probs[:, :-1] + rising[:, ::-1], axis=-1)

    def mode(self, outputs: jax.Array) -> jax.Array:
        """The most probable grade, int `[B]`: the best guess for accuracy."""
        return jnp.argmax(self.log_probs(outputs), axis=-1)

    def median(self, outputs: jax.Array) -> jax.Array:
        """The first grade whose cumulative probability reaches 1/2, int `[B]`: the best guess for absolute error."""
        below = jnp.cumsum(jnp.exp(self.log_probs(outputs)), axis=-1)[:, :-1] < 0.5
        return jnp.sum(below, axis=-1)

    def mean(self, outputs: jax.Array) -> jax.Array:
        """The expected grade rounded (halves up), int `[B]`: the best guess for squared error."""
        return jnp.floor(Family.expected(self, outputs) + 0.5).astype(int)

    def fit(self, outputs: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> Self:
        """This family with what it fits on training predictions; itself where nothing is fitted."""
        del outputs, labels, weights
        return self

    @property
    def fitted(self) -> dict[str, Any]:
        """What `fit` has bound, JSON-ready; empty before."""
        bound = {name: getattr(self, name) for name in self.fitted_fields}
        return {name: list(v) if isinstance(v, tuple) else v for name, v in bound.items() if v is not None}

    def rebind(self, fitted: Mapping[str, Any]) -> Self:
        """This family with stored fitted values."""
        if unknown := set(fitted) - set(self.fitted_fields):
            raise ValueError(f"{type(self).__name__} fits {list(self.fitted_fields)}, not {sorted(unknown)}")
        bound: dict[str, Any] = {k: tuple(map(float, v)) if np.ndim(v) else float(v) for k, v in fitted.items()}
        if not all(np.isfinite(v).all() for v in bound.values()):
            raise ValueError(f"{type(self).__name__}: fitted values must be finite, got {bound}")
        return dataclasses.replace(self, **bound)


@dataclasses.dataclass(frozen=True)
class Softmax(Family):
    """K logits; p = softmax. Decides for the most probable grade."""

    def log_probs(self, outputs: jax.Array) -> jax.Array:
        """Class log-probabilities `[B, K]`."""
        return numerics.log_softmax(outputs)


@dataclasses.dataclass(frozen=True)
class Cumulative(Family):
    """K-1 logits t_k of "grade > k", trained independently, so that they may cross. Decides by count(t > 0).

    log_probs repairs crossings: the mean of the running minimum from below and the running maximum from above, which
    leaves ordered logits as they are, never crosses, and treats both ends of the scale alike. Class probabilities are
    differences of the repaired cumulative ones; a grade left without mass keeps that of a gap of 1e-6 in the logits.

    decode: "count", or "nearest" for the grade whose code word [y > k] is nearest to s(t) (error-correcting output
    codes, Barbero-Gómez et al. 2023).
    """

    decode: Literal["count", "nearest"] = "count"

    extra: ClassVar[int] = -1
    decides: ClassVar[str] = "median"

    def decide(self, outputs: jax.Array) -> jax.Array:
        """Number of thresholds passed, or the grade of the nearest code word, int `[B]`."""
        if self.decode == "count":
            return jnp.sum(outputs > 0, axis=-1)
        # From grade k to k + 1 the squared distance changes by (1 - s)^2 - s^2 = 1 - 2s = -tanh(t / 2).
        closeness = jnp.cumsum(jnp.tanh(outputs / 2), axis=-1)
        return jnp.argmax(jnp.pad(closeness, ((0, 0), (1, 0))), axis=-1)

    def log_probs(self, outputs: jax.Array) -> jax.Array:
        """Class log-probabilities `[B, K]`."""
        from_below = jax.lax.cummin(outputs, axis=1)
        from_above = jax.lax.cummax(outputs, axis=1, reverse=True)
        return numerics.log_softmax(numerics.log_logistic_intervals(-(from_below / 2 + from_above / 2)))


@dataclasses.dataclass(frozen=True)
class Regression(Family):
    """One output on the scale of grades, cut at k + 1/2 (rounding). The score is the output itself, never clipped.

    error: what it was trained on, which tells what it estimates: "squared" the mean, "absolute" the median.

    log_probs reads the output as the centre of a Gaussian of standard deviation `spread` cut into grades (an ordered
    probit): the median of that distribution is the decision. `spread`, the root mean squared residual, is fitted;
    before that it is one grade.
    """

    error: Literal["squared", "absolute", "huber"] = "squared"
    spread: float | None = None

    width: ClassVar[int] = 1
    fitted_fields: ClassVar[tuple[str, ...]] = ("spread",)

    def decision(self, rule: str) -> str:
        """The rounded output where the rule is "native", and what that estimates."""
        estimates = {"squared": "mean (rounded output)", "absolute": "median (rounded output)"}
        return estimates.get(self.error, "rounded output") if rule == "native" else rule

    def by_outputs(self, rule: str) -> bool:
        """The family's own rule rounds the output."""
        return rule == "native"

    def cuts(self, outputs: jax.Array) -> jax.Array:
        """The K-1 cut points in use, increasing."""
        return jnp.arange(self.num_classes - 1, dtype=outputs.dtype) + 0.5

    def log_probs(self, outputs: jax.Array) -> jax.Array:
        """Class log-probabilities `[B, K]`."""
        spread = 1.0 if self.spread is None else self.spread
        return normal.log_intervals((self.cuts(outputs)[None, :] - outputs) / spread)

    def decide(self, outputs: jax.Array) -> jax.Array:
        """Number of cut points below the output, int `[B]`."""
        return jnp.sum(outputs > self.cuts(outputs)[None, :], axis=-1)

    def expected(self, outputs: jax.Array) -> jax.Array:
        """The regression output `[B]`, unclipped: it is the expected grade."""
        return outputs[:, 0]

    def score(self, outputs: jax.Array) -> jax.Array:
        """The regression output `[B]`, which ranks beyond the ends."""
        return outputs[:, 0]

    def fit(self, outputs: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> Self:
        """Binds the spread; at least a thousandth of a grade."""
        variance = np.average((outputs[:, 0] - labels) ** 2, weights=weights)
        return dataclasses.replace(self, spread=max(float(np.sqrt(variance)), 1e-3))


@dataclasses.dataclass(frozen=True)
class CutRegression(Regression):
    """Regression decided by K-1 cut points that minimise a training error exactly; see `cut_points.fit`.

    criterion: the error of the native decision. Each rule has its own cut points: of the "zero_one" error for the mode,
    the "absolute" for the median, the "squared" for the mean. log_probs cuts its Gaussian at those of the median.
    Before `fit` they are k + 1/2, and rules are those of the probabilities.
    """

    criterion: Literal["absolute", "squared", "zero_one"] = "absolute"
    mode_cuts: tuple[float, ...] | None = None
    median_cuts: tuple[float, ...] | None = None
    mean_cuts: tuple[float, ...] | None = None

    fitted_fields: ClassVar[tuple[str, ...]] = ("spread", "mode_cuts", "median_cuts", "mean_cuts")

    def __post_init__(self) -> None:
        for name in self.fitted_fields[1:]:
            cuts = getattr(self, name)
            if cuts is not None and (len(cuts) != self.num_classes - 1 or not all(np.diff((-np.inf, *cuts)) > 0)):
                raise ValueError(f"{name}: {self.num_classes - 1} increasing numbers are needed, got {cuts}")

    @property  # of the options, where other families have one for all
    def decides(self) -> str:  # type: ignore[override]
        """The rule that minimises the criterion."""
        return {"zero_one": "mode", "absolute": "median", "squared": "mean"}[self.criterion]

    def decision(self, rule: str) -> str:
        """Whose fitted cut points decide."""
        return f"{self.decides if rule == 'native' else rule} (fitted cut points)"

    def by_outputs(self, rule: str) -> bool:
        """Every rule has its cut points, once they are fitted."""
        return self.median_cuts is not None or super().by_outputs(rule)

    def cuts(self, outputs: jax.Array) -> jax.Array:
        """The K-1 cut points of the median, increasing."""
        if self.median_cuts is None:
            return Regression.cuts(self, outputs)
        return jnp.asarray(self.median_cuts, dtype=outputs.dtype)

    def decide(self, outputs: jax.Array) -> jax.Array:
        """Number of the criterion's cut points below the output, int `[B]`."""
        return getattr(self, self.decides)(outputs) if self.median_cuts else Regression.decide(self, outputs)

    def mode(self, outputs: jax.Array) -> jax.Array:
        """Number of the cut points of fewest errors below the output, int `[B]`."""
        return _passed(outputs, self.mode_cuts) if self.mode_cuts else Regression.mode(self, outputs)

    def median(self, outputs: jax.Array) -> jax.Array:
        """Number of the cut points of least absolute error below the output, int `[B]`."""
        return _passed(outputs, self.median_cuts) if self.median_cuts else Regression.median(self, outputs)

    def mean(self, outputs: jax.Array) -> jax.Array:
        """Number of the cut points of least squared error below the output, int `[B]`."""
        return _passed(outputs, self.mean_cuts) if self.mean_cuts else Regression.mean(self, outputs)

    def fit(self, outputs: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> Self:
        """Binds the cut points of every rule and the spread."""
        mode, median, mean = (
            cut_points.fit(outputs[:, 0], labels, weights, self.num_classes, criterion)
            for criterion in ("zero_one", "absolute", "squared")
        )
        spread = Regression.fit(self, outputs, labels, weights)
        return dataclasses.replace(spread, mode_cuts=mode, median_cuts=median, mean_cuts=mean)


def _passed(outputs: jax.Array, cuts: tuple[float, ...]) -> jax.Array:
    return jnp.sum(outputs > jnp.asarray(cuts, dtype=outputs.dtype)[None, :], axis=-1)


@dataclasses.dataclass(frozen=True)
class Rescaled(Family):
    """A family whose probabilities q are rescaled after training: log p_k = slope_k log q_k + offset_k, normalised.

    Slope 1 and offset -log w undo class weights w; what is fitted on validation examples calibrates. Decides of p what
    that family decides of q, and so for any rule, but for decisions by the outputs themselves, which stay.
    """

    of: Family
    slope: tuple[float, ...]
    offset: tuple[float, ...]

    @property
    def layer(self) -> str:  # type: ignore[override]
        """That of the family."""
        return self.of.layer

    @property
    def num_outputs(self) -> int:
        """Number of raw outputs."""
        return self.of.num_outputs

    @property
    def fitted(self) -> dict[str, Any]:
        """What the family has bound."""
        return self.of.fitted

    def by_outputs(self, rule: str) -> bool:
        """As the family."""
        return self.of.by_outputs(rule)

    def log_probs(self, outputs: jax.Array) -> jax.Array:
        """Class log-probabilities `[B, K]`."""
        log_probs = self.of.log_probs(outputs)
        slope, offset = (jnp.asarray(values, log_probs.dtype)[None, :] for values in (self.slope, self.offset))
        return numerics.log_softmax(slope * log_probs + offset)

    def decision(self, rule: str) -> str:
        """As the family."""
        return self.of.decision(rule)

    def decide(self, outputs: jax.Array) -> jax.Array:
        """The family's own rule, of the rescaled probabilities, int `[B]`."""
        of = self.of
        return of.decide(outputs) if of.by_outputs("native") else getattr(self, of.decides)(outputs)

    def expected(self, outputs: jax.Array) -> jax.Array:
        """The expected grade of the rescaled probabilities, or the output itself, `[B]`."""
        return self.of.expected(outputs) if self.of.by_outputs("native") else super().expected(outputs)

    def score(self, outputs: jax.Array) -> jax.Array:
        """What ranks: the log odds of that expected grade, or the output itself, `[B]`."""
        return self.of.score(outputs) if self.of.by_outputs("native") else super().score(outputs)

    def mode(self, outputs: jax.Array) -> jax.Array:
        """The most probable grade, int `[B]`."""
        return self.of.mode(outputs) if self.of.by_outputs("mode") else super().mode(outputs)

    def median(self, outputs: jax.Array) -> jax.Array:
        """The median of the rescaled probabilities, int `[B]`."""
        return self.of.median(outputs) if self.of.by_outputs("median") else super().median(outputs)

    def mean(self, outputs: jax.Array) -> jax.Array:
        """The rounded mean of the rescaled probabilities, int `[B]`."""
        return self.of.mean(outputs) if self.of.by_outputs("mean") else super().mean(outputs)
