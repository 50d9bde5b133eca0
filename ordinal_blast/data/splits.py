"""Training, validation and test sets that share no group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ordinal_blast.errors import UsageError
from ordinal_blast.ranges import SEED, SHARES, check

NAMES = ("train", "val", "test")


def grouped(groups: np.ndarray, fractions: Sequence[float], seed: int) -> Mapping[str, np.ndarray]:
    """Split so that no group (treatment, patient) lies in two sets.

    groups: `[N]`; fractions: of train, val and test, which sum to 1. Groups are shuffled with `seed` and dealt out
    until each set is full. Returns sorted indices per set; raises UsageError for fractions or a seed that cannot
    be, or a set that would be empty.
    """
    check("data.split.fractions", fractions, SHARES)
    check("data.split.seed", seed, SEED)
    names, members = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    sizes = np.bincount(members, minlength=len(names))[order]
    middle = (np.cumsum(sizes) - sizes / 2) / len(groups)
    place = np.empty(len(names), int)
    place[order] = np.searchsorted(np.cumsum(fractions)[:2], middle)
    result = {name: np.flatnonzero(place[members] == number) for number, name in enumerate(NAMES)}
    for name, indices in result.items():
        if not len(indices):
            raise UsageError(f"data.split leaves the {name} set empty: {len(names)} groups are too few, use more data")
    return result


def split_off(strata: np.ndarray, share: float, seed: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Split rows into those kept and a random `share` chosen, of every stratum alike to within one row.

    strata: `[N]`, the stratum of each row. Rows are shuffled, put in order of their strata, and taken at even steps.
    Returns sorted indices; raises UsageError for a share that chooses no row, or all.
    """
    shuffled = np.random.default_rng(seed).permutation(len(strata))
    ordered = shuffled[np.argsort(strata[shuffled], kind="stable")]
    taken = np.diff(np.floor(np.arange(len(strata) + 1) * share + 0.5)) > 0
    if taken.all() or not taken.any():
        raise UsageError(f"a share of {share} of {len(strata)} rows leaves a set empty: choose another share")
    return np.sort(ordered[~taken]), np.sort(ordered[taken])


def split_off_groups(
    groups: np.ndarray, strata: np.ndarray, share: float, seed: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """As `split_off`, of whole groups `[N]`; the stratum of a group is the highest of its rows."""
    names, members = np.unique(groups, return_inverse=True)
    highest = np.full(len(names), np.min(strata))
    np.maximum.at(highest, members, strata)
    kept, chosen = split_off(highest, share, seed)
    return np.flatnonzero(np.isin(members, kept)), np.flatnonzero(np.isin(members, chosen))
