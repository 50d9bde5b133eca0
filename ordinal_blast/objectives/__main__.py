"""Prints the page that helps to choose an objective: `python -m ordinal_blast.objectives > docs/objectives.md`."""

from __future__ import annotations

from typing import Any

from ordinal_blast.objectives.registry import table

_PAGE = """# Objectives

Made by `python -m ordinal_blast.objectives > docs/objectives.md`; do not edit by hand.

**Choosing.** Ask first what the decision should be good at, then whether probabilities matter.

- *Accuracy matters, or calibrated probabilities do*: a proper loss that estimates the distribution (`cross_entropy`,
  `squared_emd`, `corn`, `cumulative_link`). Its median minimises the expected MAE and its mean the expected MSE:
  set the decision rule (`objective.rule`) and keep the probabilities.
- *MAE or QWK matters and probabilities do not*: a loss whose own decision is the median or the mean
  (`ordinal_cross_entropy` with `power=1` or `power=2`). Its probabilities are sparse; calibrate before using them.
- *Few examples for K*: heads with few parameters (`coral`, `cumulative_link`, `binomial_unimodal`, `regression`).
- *A posterior with two peaks would be absurd*: unimodal heads.
- *QWK itself*: `soft_qwk`, with large batches; it is a loss of the batch, so a batch of one teaches nothing.

**Columns.** Outputs: width of the head for K grades. Estimates: what the decision of the optimum is, or the whole
distribution; empty where theory gives no clean answer. Proper: whether the optimum's probabilities are the true ones.
Unimodal: whether every output means one peak. Batch: whether the loss is of the batch as a whole. Soft: whether labels
may be distributions. Options are keyword-only, with their defaults.

{rows}
"""

_COLUMNS = ("Objective", "Formula", "Outputs", "Estimates", "Proper", "Unimodal", "Batch", "Soft", "Options", "Source")


def page() -> str:
    """The page as Markdown."""
    lines = [_COLUMNS, tuple("---" for _ in _COLUMNS), *(_line(row) for row in table())]
    return _PAGE.format(rows="\n".join("| " + " | ".join(line) + " |" for line in lines))


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    options = ", ".join(f"`{name}={value!r}`" for name, value in row["options"].items())
    formula = row["loss"].replace("|", "\\|")
    return (
        f"`{row['name']}`",
        formula,
        row["outputs"],
        row["estimates"],
        _word(row["proper"]),
        _word(row["unimodal"]),
        _word(row["batch_coupled"]),
        _word(row["soft_labels"]),
        options,
        row["citation"],
    )


def _word(value: bool | None) -> str:
    return {True: "yes", False: "no", None: ""}[value]


if __name__ == "__main__":
    print(page(), end="")
