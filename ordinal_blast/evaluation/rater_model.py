"""A model of raters: what each of them adds to the truth, and what their grades together say of an example.

Rater r sees example i, of latent quality η_i ~ N(0, 1), as P(y_ir <= k) = Φ(θ_k − a_r − b_r η_i): a_r is a bias, in
units of the rater's own noise, and b_r > 0 how finely quality is seen (Kim, Lin & Nelson 2021). Parameters maximise the
likelihood, η integrated out on a fine grid (what many raters say of an example is far narrower than the nodes of Gauss
and Hermite's rule lie apart), with weak normal priors on a_r around 0 and on log b_r around their mean, which tell a
bias that all share from the cut points.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from ordinal_blast.evaluation.validation import MOST_CLASSES, as_num_classes, as_numbers

_GRID = np.linspace(-8.0, 8.0, 321)  # of η; a sum over it is exact to 1e-4 where the posterior's s.d. is .04 or more
_SPREAD = 1.0  # s.d. of the priors on biases and on log magnifiers
_STEEPEST = 4.0  # of |log b|: what is beyond it is a step, whatever the rater did


@dataclasses.dataclass(frozen=True)
class RaterModel:
    """Fitted cut points θ `[K - 1]`, increasing, and of every rater the bias a and the magnifier b, `[R]`."""

    cuts: np.ndarray
    bias: np.ndarray
    magnifier: np.ndarray

    def grades(self, annotations: ArrayLike) -> np.ndarray:
        """What a rater without bias, of the mean magnifier, would say of examples that these graded, `[N, K]`.

        annotations: int `[N, R]`, -1 where a rater gave no grade; an example that nobody graded has the shares of all.
        ValueError: as `fit`.
        """
        votes = _votes(annotations, len(self.cuts) + 1)
        if votes.shape[1] != len(self.bias):
            raise ValueError(f"annotations have {votes.shape[1]} raters, and {len(self.bias)} were fitted")
        chances, *_ = _chances(self.cuts, self.bias, self.magnifier)
        posterior, _ = _posterior(_cast(votes, chances.shape[1]), chances)
        typical = np.exp(np.mean(np.log(self.magnifier), keepdims=True))
        return posterior @ _chances(self.cuts, np.zeros(1), typical)[0][0].T


def fit(annotations: ArrayLike, num_classes: int) -> RaterModel:
    """The model of raters who graded examples, int `[N, R]`, -1 where a rater gave no grade.

    ValueError: another shape or type, a grade outside 0 ... K - 1, or examples of which no two raters graded one.
    """
    num_classes = as_num_classes(num_classes)
    votes = _votes(annotations, num_classes)
    if not ((votes >= 0).sum(axis=1) > 1).any():
        raise ValueError("no example was graded by two raters: nothing tells what is a rater's and what the example's")
    votes, raters = votes[(votes >= 0).any(axis=1)], votes.shape[1]
    shares = np.bincount(votes[votes >= 0], minlength=num_classes) + 1.0
    start = np.sqrt(2.0) * special.ndtri(np.cumsum(shares / shares.sum())[:-1])
    cast = _cast(votes, num_classes)

    def unpacked(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        first, gaps, bias, logs = np.split(values, [1, num_classes - 1, num_classes - 1 + raters])
        return np.cumsum(np.concatenate([first, np.exp(gaps)])), bias, np.exp(logs)

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        cuts, bias, magnifier = unpacked(values)
        chances, upper, lower = _chances(cuts, bias, magnifier)
        posterior, log_likelihood = _posterior(cast, chances)
        counts = (cast.T @ posterior).reshape(chances.shape)  # expected, of every rater, grade and node
        logs = np.log(magnifier)
        spread = (bias @ bias + np.sum((logs - logs.mean()) ** 2)) / (2 * _SPREAD**2)
        moved = counts * (upper - lower)  # by a cut point that moves with all others
        to_cuts = np.sum(counts[:, :-1] * upper[:, :-1] - counts[:, 1:] * lower[:, 1:], axis=(0, 2))
        to_gaps = np.cumsum(to_cuts[::-1])[::-1][1:] * np.exp(values[1 : num_classes - 1])
        to_bias = -moved.sum(axis=(1, 2)) - bias / _SPREAD**2
        to_logs = -(moved @ _GRID).sum(axis=1) * magnifier - (logs - logs.mean()) / _SPREAD**2
        gradient = np.concatenate([[to_cuts.sum()], to_gaps, to_bias, to_logs])
        return spread - log_likelihood, -gradient

    first = np.concatenate([start[:1], np.log(np.diff(start)), np.zeros(2 * raters)])
    bounds = [(None, None)] * (num_classes - 1 + raters) + [(-_STEEPEST, _STEEPEST)] * raters
    stop = {"maxiter": 1000, "ftol": 1e-12}  # at the default 2e-9 cut points of 55 examples are still off by .0015
    ended = optimize.minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds, options=stop)
    return RaterModel(*unpacked(ended.x))


def _votes(annotations: ArrayLike, num_classes: int) -> np.ndarray:
    votes = as_numbers(annotations, "annotations")
    if votes.ndim != 2 or not votes.size or votes.dtype.kind not in "iu" or num_classes > MOST_CLASSES:
        raise ValueError(f"annotations must be integers [N, R] with N, R above 0, found {votes.dtype} {votes.shape}")
    if votes.min() < -1 or votes.max() >= num_classes:
        raise ValueError(
            f"annotations run from {votes.min()} to {votes.max()}: grades are 0 to {num_classes - 1}, or -1"
        )
    return votes.astype(np.int64)


def _cast(votes: np.ndarray, num_classes: int) -> np.ndarray:
    """Whether an example has a grade from a rater, 1 or 0, `[N, R K]`."""
    return (votes[:, :, None] == np.arange(num_classes)).reshape(len(votes), -1).astype(np.float64)


def _chances(cuts: np.ndarray, bias: np.ndarray, magnifier: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Chances of every rater, grade and node `[R, K, Q]`, and the density at both of its cut points over them."""
    ends = np.concatenate([[-np.inf], cuts, [np.inf]])
    at = ends[None, :, None] - bias[:, None, None] - magnifier[:, None, None] * _GRID[None, None, :]
    low, high = at[:, :-1], at[:, 1:]
    mirrored = low + np.where(np.isinf(high), np.abs(low), high) > 0  # digits are in the lower tail
    below, above = np.where(mirrored, -high, low), np.where(mirrored, -low, high)
    chances = np.maximum(special.ndtr(above) - special.ndtr(below), 1e-300)
    densities = np.exp(-(np.minimum(np.abs(at), 40.0) ** 2) / 2) / np.sqrt(2 * np.pi)
    return chances, densities[:, 1:] / chances, densities[:, :-1] / chances


def _posterior(cast: np.ndarray, chances: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights `[N, Q]` of the nodes for every example, and the log likelihood of all."""
    prior = -(_GRID**2) / 2
    joint = cast @ np.log(chances).reshape(cast.shape[1], -1) + (prior - special.logsumexp(prior))
    total = special.logsumexp(joint, axis=1, keepdims=True)
    return np.exp(joint - total), float(total.sum())
