"""What the numbers of a study can and cannot say."""

from __future__ import annotations

from ordinal_blast.evaluation import delong
from ordinal_blast.record import ELSEWHERE
from ordinal_blast.report.compare import Study
from ordinal_blast.report.formats import listed, quoted, runs_of
from ordinal_blast.report.rankings import thresholds, units
from ordinal_blast.report.results import Group


def caveats(study: Study) -> list[str]:
    """What varies, what the intervals cover, and what they leave out."""
    if not study.cells:
        return []
    groups = study.groups()
    notes = [*_asked_later(study), _varies(study, all(group.same_examples for group in groups))]
    if study.rivals:
        notes.append(
            "Better, worse and equivalent are said, and numbers are bold and marks filled, by intervals that hold for "
            "all comparisons of their family at once, widened for few seeds and few examples (Banerjee 1961), and "
            "by nothing else. None of them covers another training set, "
            "another split, or tuning."
        )
    patients = next((group.patients for group in groups if group.patients is not None), None)
    if patients is not None:
        notes.append(
            f"The {len(patients):,} test examples come from {units(patients)}: those count as independent, not the "
            "examples."
        )
    notes += [note for group in groups for note in _few(group)]
    return [
        *notes,
        *_weighted(study),
        *_adjusted(study),
        *_recalibrated(study),
        _round_off(study),
        *_source_text(study),
        *_warnings(study),
    ]


def _asked_later(study: Study) -> list[str]:
    """That the question is another one than was declared, which results may have suggested."""
    if not study.otherwise:
        return []
    said = [
        f"{name} {listed([quoted(word) for word in words]) if words else 'none'}"
        for name, words in study.otherwise.items()
    ]
    return [
        f"Asked of finished runs, otherwise than their ablation declared: {', '.join(said)}. What results suggest is "
        "easily found in them again: such an answer wants runs of its own."
    ]


def _varies(study: Study, same: bool) -> str:
    """What differs from seed to seed, and what intervals over it cover."""
    seeds = len(study.seeds)
    if seeds == 1:
        return (
            "One seed: intervals are over test examples, for these trained models. What another seed would have "
            "changed is not known, and is often more."
        )
    if same:
        return (
            f"{seeds} seeds: the seed varies, the split does not, and every cell is tested on the same examples. "
            "Intervals are over new seeds and new test examples at once, seeds as readers and examples as cases "
            "(Obuchowski & Rockette 1995; Hillis 2007)."
        )
    return (
        f"{seeds} seeds: the seed and the test examples vary together, so ± mixes both. Intervals are of the t that is "
        "corrected for training sets that overlap (Nadeau & Bengio 2003), a rule of thumb."
    )


def _few(group: Group) -> list[str]:
    """Boundaries between grades with so few examples or patients on a side that its interval is too short."""
    sides = {ranking.name: delong.smaller_side(ranking.labels, ranking.clusters) for ranking in thresholds(group)}
    few = {name: size for name, size in sides.items() if size < delong.FEW}
    if not few:
        return []
    named = listed([f"{name} ({size})" for name, size in few.items()])
    return [
        f"{group.title}: fewer than {delong.FEW} test examples or patients are on the smaller side of {named}. "
        f"{delong.few(min(few.values()))}"
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


def _adjusted(study: Study) -> list[str]:
    """Whose probabilities are those of grades that are equally common, or nearer to that than the data."""
    ways = {
        "adjust_loss": "trained by a loss whose logits rise by {} times the log share of their grade",
        "adjust_decision": "decided with log-probabilities that fall by {} times the log share of their grade",
    }
    names: dict[tuple[str, float], list[str]] = {}
    for cell in study.cells:
        for way in ways:
            if strength := cell.record.objective.get(way, 0.0):
                names.setdefault((way, strength), []).append(cell.variant)
    return [
        f"{_whom(of, study)} {ways[way].format(f'{strength:g}')} (Menon et al. 2021): at 1, probabilities, decisions "
        "and scores are those where all grades are equally common, and not those of the data."
        for (way, strength), of in names.items()
    ]


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
    if ELSEWHERE in devices:
        return (
            "Predictions were made elsewhere: what they were trained on, whether that overlaps with the test examples, "
            "and how many others were left out of the table, is not known here."
        )
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
