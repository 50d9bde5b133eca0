"""What the numbers of a study can and cannot say."""

from __future__ import annotations

from ordinal_blast.report import resampling
from ordinal_blast.report.compare import Study
from ordinal_blast.report.formats import listed, quoted, runs_of
from ordinal_blast.report.rankings import patients_of, same_examples, thresholds, units

FEW = 30  # patients below which DeLong's normal approximation and the bootstrap are known to be too sure


def caveats(study: Study) -> list[str]:
    """What varies, what the intervals cover, and what they leave out."""
    if not study.cells:
        return []
    groups = study.groups()
    same = all(map(same_examples, groups))
    seeds = len(study.seeds)
    if seeds == 1:
        varies = "One seed: the ± that several seeds would give is not known."
    elif same:
        varies = f"{seeds} seeds: the seed varies, the split does not. Every cell is tested on the same examples."
    else:
        varies = f"{seeds} seeds: the seed and the test examples vary together, so ± mixes both."
    notes = [varies]
    if seeds > 1:
        covers = (
            "the spread over seeds; not which examples happen to be in the test set"
            if same
            else "the spread over seeds and splits, corrected for training sets that overlap (Nadeau & Bengio 2003)"
        )
        notes.append(f"Intervals are Student’s t over the seeds of the paired difference and cover {covers}.")
    if len(study.variants) > 1:
        notes.append(
            f"The best of {len(study.variants)} variants on one test set is flattered by being picked: "
            "confirm it on examples it was not picked on."
        )
    rankings = [ranking for group in groups for ranking in thresholds(group)]
    if rankings and study.rivals:
        notes.append(
            "DeLong’s test compares two fixed sets of scores, averaged over seeds, on this one test set: it covers "
            "which examples were tested, not what another seed or another training set would change. Holm’s p is "
            "adjusted over the variants of one table, not over tables."
        )
    if any(resampling.allowed(group, study.reference) for group in groups):
        notes.append(
            "The bootstrap intervals under “Had other examples been tested” cover which examples happen to be in the "
            "test set, and not the seeds."
        )
    patients = next((ids for ids in map(patients_of, groups) if ids is not None), None)
    if patients is not None:
        few = ". With so few, p values and intervals are too small" if patients.max() + 1 < FEW else ""
        notes.append(
            f"The {len(patients):,} test examples come from {units(patients)}: DeLong’s test and the bootstrap take "
            f"those as independent, not the examples{few}."
        )
    return [
        *notes,
        *_weighted(study),
        *_recalibrated(study),
        _round_off(study),
        *_source_text(study),
        *_warnings(study),
    ]


def _weighted(study: Study) -> list[str]:
    """What class weights did to the probabilities and decisions of the variants that were trained with them."""
    weighted: dict[bool, list[str]] = {}
    for cell in study.cells:
        if cell.record.class_weights != "none":
            corrected = cell.record.objective["correct_weights"]
            weighted.setdefault(corrected, []).append(cell.variant)
    notes = []
    if names := weighted.get(False):
        notes.append(
            f"{_whom(names, study)} trained with class weights, which change what a proper loss estimates: where the "
            "grades of an example have probabilities .10, .38 and .52, weights by inverse frequency (of .13, .40 and "
            ".47) make them .272, .336 and .392, and the median moves from the third grade to the second. "
            "Probabilities, and so log loss, RPS and ECE, are those of the weighted problem."
        )
    if names := weighted.get(True):
        notes.append(
            f"{_whom(names, study)} trained with class weights that are undone after training, so that probabilities "
            "and decisions are those of the unweighted problem (objective.correct_weights)."
        )
    return notes


def _recalibrated(study: Study) -> list[str]:
    """Whose probabilities were fitted to the validation set after training, and whether it selected the epoch too."""
    names: dict[tuple[str, bool], list[str]] = {}
    for cell in study.cells:
        method = cell.record.objective.get("calibration", "none")
        if method != "none":
            fits = [fit["calibration"] for model in cell.record.models.values() for fit in model.fitted.values()]
            names.setdefault((method, any(fit["selects_epoch"] for fit in fits)), []).append(cell.variant)
    forms = {"temperature": "one temperature", "vector": "a slope and an offset for each grade"}
    return [
        f"{_whom(of, study)} recalibrated after training, by {forms[method]} fitted to the validation examples"
        + (
            ". These also selected the epoch, which fits them a little: on new examples probabilities may be less well "
            "calibrated than the fit took them to be."
            if selects
            else ", which selected nothing else."
        )
        for (method, selects), of in names.items()
    ]


def _whom(names: list[str], study: Study) -> str:
    """`All variants were`, or the variants by name."""
    names = list(dict.fromkeys(names))
    if len(names) == len(study.variants) > 1:
        return "All variants were"
    return f"{listed([quoted(name) for name in names])} {'was' if len(names) == 1 else 'were'}"


def _round_off(study: Study) -> str:
    """What the numbers of this machine say of another."""
    devices = sorted({cell.record.provenance["device"] for cell in study.cells})
    if len(devices) > 1:
        opening = f"Cells ran on different hardware ({'; '.join(devices)}), which differs in round-off"
    else:
        opening = f"All cells ran on {devices[0]}: other devices, threads or versions differ in round-off"
    return f"{opening}, and round-off alone can move the score of a seed."


def _source_text(study: Study) -> list[str]:
    """Whether cells were made by code that differs; each lists the files that its own numbers come from."""
    texts: dict[str, set[str]] = {}
    for cell in study.cells:
        for name, text in cell.record.identity["code"].items():
            texts.setdefault(name, set()).add(text)
    changed = sorted(name for name, versions in texts.items() if len(versions) > 1)
    if len(changed) > 3:
        changed[3:] = [f"{len(changed) - 3} more"]
    return [f"Cells were made by different source text: {listed(changed)} changed between them."] if changed else []


def _warnings(study: Study) -> list[str]:
    """What is wrong with the data, each once, and for which seeds where not for all."""
    seeds: dict[str, set[int]] = {}
    for cell in study.cells:
        for warning in cell.record.warnings:
            seeds.setdefault(warning, set()).add(cell.seed)
    everywhere = set(study.seeds)
    return [
        f"Data{'' if where == everywhere else f' (seed {runs_of(where)})'}: {warning}."
        for warning, where in seeds.items()
    ]
