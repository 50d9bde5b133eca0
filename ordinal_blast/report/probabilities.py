"""What probabilities are worth, as frames: calibration and seed ensembles, reliability, conformal sets, uncertainty.

Single models are trained with one seed. An ensemble has the mean of their probabilities, and exists where every seed
was tested on the same examples.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ordinal_blast.evaluation import conformal, costs, metrics, reliability, uncertainty
from ordinal_blast.report import strata
from ordinal_blast.report.rankings import boundary
from ordinal_blast.report.results import Cell, Group, Results, patients_in

ENSEMBLE = "ensemble"  # in the column `model`, beside the seeds of single models
MOST_PROBABLE = "most probable grade"  # in the column `threshold`, beside "grade > k"
LEVEL = 0.9  # of grade sets
COVERAGES = np.arange(1, 11) / 10  # of risk–coverage curves
CALIBRATED_ON = "validation examples, which also chose the epoch"
_DRAWS = 500  # of calibrated labels a model: hundreds of models are tested in a report
_FEW = 2  # patients below which nothing is known of the spread between them
_PLACE = ("stage", "task", "variant")


@dataclasses.dataclass(frozen=True, eq=False)
class _Model:
    """What one model, or an ensemble, says of the test examples with a label; patients `[N]` where they cluster."""

    name: str
    rule: str
    labels: np.ndarray
    probs: np.ndarray
    grades: np.ndarray
    patients: np.ndarray | None


def assess(study: Results) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The frames `calibration` and `reliability`, which rest on the same draws.

    calibration: one row per stage, task, variant and model, a seed or "ensemble". `p` tests that all P(y > k) are
    calibrated; ece_debiased is the root of squared_gap, 0 where that is below; brier = miscalibration - discrimination
    + uncertainty; sharpness Σ p²; expected_rps: what a calibrated model would score with these probabilities; then the
    measures of `metrics.summary`, of an ensemble by `rule`.
    reliability: one row per stage, task, variant, threshold and bin, the mean over single models; the band `low` to
    `high` is that of one calibrated model.
    """
    rows, points = [], []
    for group in study.groups():
        targets = [*(boundary(group, grade) for grade in group.grades[:-1]), MOST_PROBABLE]
        for variant in group.variants:
            place = _place(group, variant)
            curves = []
            for model in _models(group, variant):
                curve, row = _assessed(model, len(group.grades))
                rows.append({**place, "model": model.name, **row})
                if curve is not None and model.name != ENSEMBLE:
                    curves.append(curve)
            points += [{**place, **point} for point in _points(curves, targets)]
    leading = (*_PLACE, "model", "n", "rule", "ece", "ece_debiased", "p", "brier", "miscalibration", "discrimination")
    return (
        study.typed(pd.DataFrame(rows), (*leading, "uncertainty", "sharpness", "expected_rps", "rps", "log_loss")),
        study.typed(pd.DataFrame(points), (*_PLACE, "threshold", "bin", "predicted", "observed", "low", "high", "n")),
    )


def sets(study: Results) -> pd.DataFrame:
    """How conformal grade sets do on the test examples, the mean over single models: one row per method and stratum.

    `by` is empty for all examples, "grade" for those of the true grade `value`, or a column that travels with the
    examples. coverage: share of sets that hold the true grade, promised to be `level` or more for all examples alone.
    calibration: how many examples set the threshold, `calibrated_on` which.
    """
    frames = []
    for group in study.groups():
        for variant in group.variants:
            models = [rows for cell in group.cells if cell.variant == variant and (rows := _covered(group, cell))]
            if not models:
                continue
            frame = pd.DataFrame([row for rows in models for row in rows])
            means = frame.groupby(["method", "by", "value"], sort=False).mean().reset_index()
            facts = {**_place(group, variant), "level": LEVEL, "seeds": len(models), "calibrated_on": CALIBRATED_ON}
            frames.append(means.assign(**facts))
    columns = ("method", "level", "by", "value", "coverage", "size", "singles", "calibration", "seeds", "calibrated_on")
    return study.typed(pd.concat(frames) if frames else pd.DataFrame(), (*_PLACE, *columns)).reset_index(drop=True)


def uncertain(study: Results) -> pd.DataFrame:
    """What uncertainty is worth, the mean over single models, and what of it an ensemble explains.

    quantity "mae" or "error": of the share `coverage` of examples that are surest; "mae area", "error area": its mean
    over all coverages (AURC); "total", "aleatoric", "epistemic": mean uncertainty of an ensemble. `by`: the measure of
    uncertainty.
    """
    rows = []
    for group in study.groups():
        k = len(group.grades)
        for variant in group.variants:
            models = [model for model in _models(group, variant) if model.name != ENSEMBLE]
            if not models:
                continue
            values = pd.DataFrame([_risks(model, k) for model in models]).mean().to_dict()
            if len(models) > 1 and group.same_examples:
                values |= _explained(np.stack([model.probs for model in models]), k)
            rows += [
                {
                    **_place(group, variant),
                    "by": by,
                    "quantity": quantity,
                    "coverage": coverage,
                    "value": value,
                    "seeds": len(models),
                }
                for (by, quantity, coverage), value in values.items()
            ]
    return study.typed(pd.DataFrame(rows), (*_PLACE, "by", "quantity", "coverage", "value", "seeds"))


def _place(group: Group, variant: str) -> dict[str, str]:
    return {"stage": group.stage, "task": group.task, "variant": variant}


def _models(group: Group, variant: str) -> Iterator[_Model]:
    """Every finished seed of a variant, then their ensemble; none that has no test example with a label."""
    cells = [cell for cell in group.cells if cell.variant == variant]
    singles = [model for cell in cells if len((model := _single(group, cell)).labels)]
    yield from singles
    if len(singles) > 1 and group.same_examples:
        probs = np.mean([model.probs for model in singles], axis=0)
        rule, grades = costs.decide_by(singles[0].rule, probs, len(group.grades))
        yield dataclasses.replace(singles[0], name=ENSEMBLE, rule=rule, probs=probs, grades=grades)


def _single(group: Group, cell: Cell) -> _Model:
    result = group.of(cell)
    kept = result.labels >= 0
    rule = cell.record.objective["decides_by"]
    return _Model(
        str(cell.seed),
        rule,
        result.labels[kept],
        result.probs[kept].astype(np.float64),
        result.grades[kept],
        group.patients if group.same_examples else patients_in(cell.tested(group.stage), kept),
    )


def _assessed(model: _Model, k: int) -> tuple[reliability.Reliability | None, dict[str, Any]]:
    """The curves of a model, None where all examples are of one patient, and its row."""
    labels, probs, patients = model.labels, model.probs, model.patients
    curve = None
    if patients is None or patients.max() + 1 >= _FEW:
        curve = reliability.assess(labels, probs, k, clusters=patients, draws=_DRAWS)
    parts, gap = reliability.brier_parts(labels, probs, k), reliability.squared_gap(labels, probs, k)
    return curve, {
        "n": len(labels),
        "rule": model.rule,
        "ece_debiased": float(np.sqrt(np.maximum(0, gap))),
        "squared_gap": gap,
        "p": np.nan if curve is None else curve.p_value,
        "brier": parts.score,
        "miscalibration": parts.miscalibration,
        "discrimination": parts.discrimination,
        "uncertainty": parts.uncertainty,
        "sharpness": float((probs**2).sum(axis=1).mean()),
        "expected_rps": float(uncertainty.ordinal(probs, k).mean()),
        "unimodal_share": metrics.unimodal_share(probs.astype(np.float32), k),
        **metrics.summary(labels, model.grades, k, probs),
    }


def _points(curves: Sequence[reliability.Reliability], targets: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The mean over models of each bin that any of them fills, target by target."""
    if not curves:
        return
    fields = ("predicted", "observed", "low", "high", "n")
    stacked = {field: np.stack([getattr(curve, field) for curve in curves]).astype(np.float64) for field in fields}
    filled = stacked["n"] > 0
    for target, place in np.argwhere(filled.any(axis=0)):
        models = filled[:, target, place]
        means = {field: float(values[models, target, place].mean()) for field, values in stacked.items()}
        yield {"threshold": targets[target], "bin": int(place), **means, "n": round(means["n"]), "seeds": len(curves)}


def _covered(group: Group, cell: Cell) -> list[dict[str, Any]]:
    """What the sets of one model hold; empty without validation or test examples that have a label."""
    splits = cell.record.models[group.stage].splits
    if "val" not in splits or group.task not in splits["val"].tasks:
        return []
    k = len(group.grades)
    held_out, tested = splits["val"].tasks[group.task], group.of(cell)
    known, kept = held_out.labels >= 0, tested.labels >= 0
    if not known.any() or not kept.any():
        return []
    labels = tested.labels[kept]
    columns = cell.tested(group.stage).columns.items()
    masks = {(name, v): of[kept] for name, column in columns for v, of in strata.within(name, column, kept).items()}
    rows = []
    for method in conformal.METHODS:
        fitted = conformal.calibrate(held_out.labels[known], held_out.probs[known], k, method, LEVEL)
        in_sets = fitted.sets(tested.probs[kept])
        everywhere = conformal.coverage(in_sets, labels, k)
        shares = {("grade", grade): everywhere.by_grade[y] for y, grade in enumerate(group.grades)}
        held = in_sets.hold(labels)
        shares |= {place: held[of].mean() for place, of in masks.items()}
        whole = {"coverage": everywhere.overall, "size": everywhere.size, "singles": everywhere.singles}
        of_method = {"method": method, "calibration": fitted.n}
        rows.append({**of_method, "by": "", "value": "", **whole})
        rows += [{**of_method, "by": by, "value": value, "coverage": share} for (by, value), share in shares.items()]
    return rows


def _risks(model: _Model, k: int) -> dict[tuple[str, str, float], float]:
    """Areas under the risk–coverage curves of a model by each measure of uncertainty, and the curves of one of them."""
    losses = {"mae": np.abs(model.labels - model.grades), "error": model.labels != model.grades}
    values: dict[tuple[str, str, float], float] = {}
    for by, measure in uncertainty.MEASURES.items():
        unsure = measure(model.probs)
        for quantity, loss in losses.items():
            curve = uncertainty.risk_coverage(loss.astype(np.float64), unsure)
            values[by, f"{quantity} area", np.nan] = curve.area
            if by == "ordinal":
                values |= {(by, quantity, c): r for c, r in zip(COVERAGES, curve.at(COVERAGES).tolist(), strict=True)}
    return values


def _explained(probs: np.ndarray, k: int) -> dict[tuple[str, str, float], float]:
    """Mean uncertainty of the ensemble of models with probs `[S, N, K]`, and its two parts."""
    values: dict[tuple[str, str, float], float] = {}
    for by in uncertainty.MEASURES:
        parts = dataclasses.asdict(uncertainty.split(probs, k, by))
        values |= {(by, quantity, np.nan): float(part.mean()) for quantity, part in parts.items()}
    return values
