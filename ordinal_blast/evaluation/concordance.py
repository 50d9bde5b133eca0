"""How far raters agree beyond chance: Krippendorff's alpha and intraclass correlations, any grades missing.

Both rest on the examples through sums alone, so that the value without an example, or without all those of a patient,
is a subtraction: intervals are the jackknife's over new examples. These raters are taken as they are. Measured on 400
studies of a kind (60 and 210 examples, 3 to 7 raters, 3 and 5 grades, up to half of them missing, patients of one and
of three): of nominal .95, intervals within (-1, 1) cover .92 to .97.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ordinal_blast.evaluation import multireader
from ordinal_blast.evaluation.multireader import Comparison
from ordinal_blast.evaluation.validation import MOST_CLASSES, as_clusters, as_num_classes, as_numbers

ALPHAS = ("nominal", "ordinal", "interval")
ICCS = ("ICC(1)", "ICC(A,1)", "ICC(C,1)")
_ZERO = 1e-9  # of the largest eigenvalue: sums over thousands of examples leave rounding where there should be none
APART = "no example ties the raters together, or leaving one out parts them: no interval"


def alpha(
    annotations: ArrayLike, num_classes: int, *, cases: ArrayLike | None = None, confidence: float = 0.95
) -> Comparison:
    """Krippendorff's alpha of annotations int `[N, R]`, -1 where there is none; variants are those of ALPHAS.

    1 - (n - 1) Σ o_ck δ²_ck / Σ n_c n_k δ²_ck, with o the coincidences of grades within examples of two grades or more,
    n_c their sums; δ is 1, the difference of mid-ranks, or of grades (Krippendorff, 2018, section 12.3). cases `[N]`
    such as patients. ValueError: another shape or grade, or fewer than 2 units with two grades.
    """
    num_classes = as_num_classes(num_classes)
    grades = _checked(annotations, num_classes)
    counts = (grades[:, :, None] == np.arange(num_classes)).sum(axis=1).astype(float)
    several = counts.sum(axis=1) > 1
    counts, units = counts[several], _units(several, cases)
    pairs = counts[:, :, None] * counts[:, None, :] - counts[:, None, :] * np.eye(num_classes)
    within = _sums(pairs / (counts.sum(axis=1) - 1)[:, None, None], units)
    total = within.sum(axis=0)
    return multireader.jackknifed(_alphas(total[None]), _alphas(total - within), confidence=confidence)


def icc(annotations: ArrayLike, *, cases: ArrayLike | None = None, confidence: float = 0.95) -> Comparison:
    """Intraclass correlations of single grades int `[N, R]`, -1 where there is none; variants are those of ICCS.

    σ²_a / (σ²_a + σ²_w) with raters drawn anew for every example; σ²_a / (σ²_a + σ²_b + σ²_e), absolute agreement, and
    σ²_a / (σ²_a + σ²_e), consistency, with examples and raters crossed (Shrout & Fleiss, 1979; McGraw & Wong, 1996).
    Where grades are missing, variances are those of the fitting of constants (Henderson, 1953, method 3), which with
    none missing are the usual ones. ValueError: another shape, or fewer than 2 units.
    """
    grades = _checked(annotations, MOST_CLASSES)
    some = (grades >= 0).any(axis=1)
    grades, units = grades[some], _units(some, cases)
    seen = (grades >= 0).astype(float)
    y, count = grades * seen, seen.sum(axis=1)
    level = y.sum(axis=1) / count
    rest = seen * (y - level[:, None])
    scalars = np.stack(
        [np.ones(len(y)), count, count**2, y.sum(axis=1), count * level**2, (rest**2).sum(axis=1), (y**2).sum(axis=1)],
        axis=1,
    )
    normal = (
        np.einsum("nr,rs->nrs", seen, np.eye(y.shape[1])) - seen[:, :, None] * seen[:, None, :] / count[:, None, None]
    )
    parts = [_sums(part, units) for part in (scalars, seen, y, rest, normal)]
    totals = [part.sum(axis=0) for part in parts]
    whole = _iccs(*(total[None] for total in totals))
    without = _iccs(*(total - part for total, part in zip(totals, parts, strict=True)))
    defined = np.isfinite(whole).all() and np.isfinite(without).all()
    return multireader.jackknifed(whole, without, confidence=confidence, degenerate="" if defined else APART)


def _checked(annotations: ArrayLike, num_classes: int) -> np.ndarray:
    grades = as_numbers(annotations, "annotations")
    if grades.ndim != 2 or grades.shape[1] < 2 or not len(grades) or grades.dtype.kind not in "iu":
        raise ValueError(f"annotations must be integers [N, R] with R above 1, found {grades.dtype} {grades.shape}")
    if grades.min() < -1 or grades.max() >= num_classes:
        raise ValueError(
            f"annotations run from {grades.min()} to {grades.max()}: grades are 0 to {num_classes - 1}, or -1"
        )
    return grades.astype(np.int64)


def _units(kept: ArrayLike, cases: ArrayLike | None) -> np.ndarray:
    """The unit of every example that is kept, 0 ... U - 1; ValueError for fewer than 2."""
    kept = np.asarray(kept)
    members = np.arange(len(kept)) if cases is None else as_clusters(cases, len(kept))
    names, units = np.unique(members[kept], return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"agreement needs graded examples of 2 units or more, found {len(names)}")
    return units


def _sums(values: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Sums of values `[N, ...]` over the examples of each unit, `[U, ...]`."""
    sums = np.zeros((int(units.max()) + 1, *values.shape[1:]))
    np.add.at(sums, units, values)
    return sums


def _alphas(pairs: np.ndarray) -> np.ndarray:
    """Alpha of coincidences `[T, K, K]`, `[3, T]`."""
    counts = pairs.sum(axis=-1)
    ranks = np.cumsum(counts, axis=-1) - counts / 2
    grades = np.arange(pairs.shape[-1], dtype=float)
    distances = [grades[:, None] != grades]
    distances += [(scale[..., :, None] - scale[..., None, :]) ** 2 for scale in (ranks, grades)]
    shaped = np.stack([np.broadcast_to(distance, pairs.shape) for distance in distances])
    observed = (pairs * shaped).sum(axis=(-2, -1))
    expected = np.einsum("tc,tk,atck->at", counts, counts, shaped)
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1 - (counts.sum(axis=-1) - 1) * observed / expected


def _iccs(
    scalars: np.ndarray, counts: np.ndarray, totals: np.ndarray, rests: np.ndarray, normal: np.ndarray
) -> np.ndarray:
    """The correlations `[3, T]` of sums: scalars `[T, 7]`, of raters `[T, R]`, and between raters `[T, R, R]`."""
    items, number, squares, total, levels, within, power = scalars.T
    raters = (counts > 0).sum(axis=-1)
    fitted = np.einsum("tr,trs,ts->t", rests, np.linalg.pinv(normal, rcond=_ZERO, hermitian=True), rests)
    scales = np.linalg.eigvalsh(normal)
    tied = (scales > _ZERO * scales[:, -1:]).sum(axis=-1) == raters - 1
    with np.errstate(invalid="ignore", divide="ignore"):
        by_rater = power - np.where(counts > 0, totals**2 / counts, 0.0).sum(axis=-1)
        error = within - fitted
        noise = error / (number - items - raters + 1)
        quality = (by_rater - error - noise * (items - 1)) / (number - raters)
        leniency = (fitted - noise * (raters - 1)) / (number - items)
        inner = within / (number - items)
        size = (number - squares / number) / (items - 1)
        between = ((levels - total**2 / number) / (items - 1) - inner) / size
        shares = [
            between / (between + inner),
            quality / (quality + leniency + noise),
            quality / (quality + noise),
        ]
    return np.stack([shares[0], *(np.where(tied, share, np.nan) for share in shares[1:])])
