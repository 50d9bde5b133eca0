"""Training, validation and test sets that share no group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.ranges import SEED, SHARES, check, number

NAMES = ("train", "val", "test")
_ALSO = {"training": "train", "valid": "val", "validation": "val", "dev": "val", "testing": "test"}


def named(text: str) -> str:
    """The split that a folder or an entry means, in any letters: train, val or test; else empty."""
    text = text.strip().lower()
    return text if text in NAMES else _ALSO.get(text, "")


def by_column(texts: Sequence[str], places: Sequence[str], column: str) -> dict[str, np.ndarray]:
    """The rows of each split that a column names, train first; raises UserError for the first entry that names none."""
    split_names = [named(text) for text in texts]
    for place, text, split in zip(places, texts, split_names, strict=True):
        if not split:
            raise UserError(f"{place}, {column}: {text[:60]!r} is none of train, val and test")
    return {split: np.flatnonzero(np.asarray(split_names) == split) for split in NAMES if split in split_names}


def with_validation(
    rows: Mapping[str, np.ndarray],
    labels: np.ndarray,
    groups: np.ndarray | None,
    share: float,
    seed: Sequence[int],
    *,
    stratified: bool,
) -> Mapping[str, np.ndarray]:
    """Splits that come as train and test, with a random share of train as val; others are left as they are.

    rows: of each split; labels `[N]` and groups `[N]` (None: every row is its own) of all rows. Grades are alike in
    both parts if stratified, and no group is divided.
    """
    if set(rows) != {"train", "test"}:
        return rows
    check("data.options.val_share", share, number(above=0, below=1))
    train = rows["train"]
    strata = labels[train] if stratified else np.zeros(len(train), int)
    if groups is None:
        kept, chosen = split_off(strata, share, seed)
    else:
        kept, chosen = split_off_groups(groups[train], strata, share, seed)
    return {"train": train[kept], "val": train[chosen], "test": rows["test"]}


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
    return _dealt(place[members], len(names))


def _dealt(place: np.ndarray, groups: int) -> Mapping[str, np.ndarray]:
    """Sorted indices by set, from the number of the set of every row `[N]`; UsageError for a set left empty."""
    result = {name: np.flatnonzero(place == number) for number, name in enumerate(NAMES)}
    for name, indices in result.items():
        if not len(indices):
            raise UsageError(f"data.split leaves the {name} set empty: {groups} groups are too few, use more data")
    return result


def stratified(
    groups: np.ndarray, labels: np.ndarray, fractions: Sequence[float], seed: int
) -> Mapping[str, np.ndarray]:
    """As `grouped`, with the grades alike in every set: whole groups are dealt out grade by grade, the rarest first.

    labels: int `[N, tasks]`, -1 where missing. A group goes where most is lacking of the grade; of the last that have
    it, one to each set that has none (after Sechidis et al. 2011, doi:10.1007/978-3-642-23808-6_10).
    """
    check("data.split.fractions", fractions, SHARES)
    check("data.split.seed", seed, SEED)
    names, members = np.unique(groups, return_inverse=True)
    kinds = [
        (task, grade) for task in range(labels.shape[1]) for grade in np.unique(labels[labels[:, task] >= 0, task])
    ]
    counts = np.zeros((len(names), len(kinds) + 1))  # the last counts examples
    for k, (task, grade) in enumerate(kinds):
        np.add.at(counts[:, k], members[labels[:, task] == grade], 1)
    counts[:, -1] = np.bincount(members, minlength=len(names))
    lacking = np.asarray(fractions)[:, None] * counts.sum(axis=0)
    held = np.zeros(lacking.shape, bool)
    place, order = np.full(len(names), -1), np.random.default_rng(seed).permutation(len(names))
    while len(left := order[place[order] < 0]):
        having = (counts[left] > 0).sum(axis=0)
        k = min((k for k in range(len(kinds) + 1) if having[k]), key=lambda k: (k == len(kinds), having[k]))
        several = left[counts[left, k] > 0]
        for rank, group in enumerate(several[np.argsort(-counts[several, k], kind="stable")]):
            without_it, without_any = np.flatnonzero(~held[:, k]), np.flatnonzero(~held[:, -1])
            chosen = without_it if len(several) - rank <= len(without_it) else np.arange(len(NAMES))
            chosen = without_any if np.sum(place < 0) <= len(without_any) else chosen
            best = max(chosen, key=lambda part: (lacking[part, k], lacking[part, -1]))
            place[group] = best
            lacking[best] -= counts[group]
            held[best] |= counts[group] > 0
    return _dealt(place[members], len(names))


def shared(rows: Mapping[str, np.ndarray], groups: np.ndarray) -> list[tuple[str, int, int, int]]:
    """Of each set but the first its name, its groups, those that earlier sets have too, and its examples of these."""
    earlier, leaks = np.asarray([], groups.dtype), []
    for name, indices in rows.items():
        own = np.unique(groups[indices])
        common = np.intersect1d(own, earlier)
        leaks.append((name, len(own), len(common), int(np.isin(groups[indices], common).sum())))
        earlier = np.union1d(earlier, own)
    return leaks[1:]


def without(rows: Mapping[str, np.ndarray], unseen: np.ndarray) -> Mapping[str, np.ndarray]:
    """Splits whose training and validation rows lack those that are unseen, bool `[N]`; what is tested keeps them.

    So that models that have seen a clinic, or not, are tested on the same examples. UsageError for a set left empty.
    """
    kept = {name: indices[~unseen[indices]] if name in ("train", "val") else indices for name, indices in rows.items()}
    for name, indices in kept.items():
        if not len(indices):
            raise UsageError(f"data.split.unseen leaves the {name} set empty: leave something to see")
    return kept


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
