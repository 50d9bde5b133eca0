"""Prints the page that helps to choose an objective: `python -m ordinal_blast.objectives > docs/objectives.md`."""

from __future__ import annotations

from typing import Any

from ordinal_blast.objectives.registry import table

_PAGE = """# Objectives

Made by `python -m ordinal_blast.objectives > docs/objectives.md`; do not edit by hand.

**Choosing.** A result belongs to a loss and a decision together. Ask what the decision is to be good at, and whether
probabilities matter.

- *Probabilities matter, or more than one measure does*: a proper loss (`cross_entropy`, `squared_emd`, `corn`,
  `binary_decomposition`). It estimates the whole distribution; the rule (`objective.rule`) is chosen afterwards: the
  mode has the best expected accuracy, the median the least expected MAE, the mean the least expected squared error,
  of which QWK is made. Its native decision is only one of the three, see the table.
- *One measure alone matters*: a loss whose optimum is the decision for it, such as `ordinal_cross_entropy` (`power=1`:
  the median, `power=2`: the rounded mean) or a regression. It aims at what a proper loss with that rule aims at, by
  another road: compare both (`ablations/losses.py`). Its probabilities are not those of the truth: those of
  `ordinal_cross_entropy` are sparse, and calibration after training cannot give back what was not learnt.
- *Few examples for K grades*: one slope for all thresholds (`coral`, `cumulative_link`, `all_threshold`,
  `adjacent_category_shared`) or one number for all grades (`binomial_unimodal`, `poisson_unimodal`, `ordistic`,
  `regression`). They are exact only where the truth has that form: one slope if all boundaries move together, one
  number for the mean alone.
- *Two peaks would be absurd*: `unimodal_net`, `vs_sl` and `copoc` can be any distribution of one peak, `ord_acl` any
  log-concave one; a truth with two peaks is then estimated wrongly.
- *QWK itself*: `soft_qwk`, with large batches.

**Class weights** change what is estimated, not only how well. With examples weighted by the w of their grade, a proper
loss estimates p_k w_k, normalised: probabilities of .10 .38 .52 become .272 .336 .392 under inverse frequencies where
the grades are .13 .40 .47 of the examples, and their median moves from the last grade to the one before.
`Objective.corrected(class_weights)` divides by the weights again, for proper losses only. The options `class_weights`
of `mce` and `threshold_weights` weigh parts of the loss of one example and leave proper losses proper.

**Columns.** Facts are for three or more grades and the default options; for others see `Objective.estimates`, `.proper`
and `.unimodal`.

- *Outputs*: how many for K grades; "one slope" where all outputs share one, so that only a bias each is free.
- *Decision*: what the native rule decides. Of K - 1 free logits that cross, the median is the number that are positive
  (`ecoc_distance`: the nearest code word).
- *Estimates*: what the optimum, over everything that outputs can be, tells of the truth: the whole distribution; the
  mean, where its expected grade is that of the truth; or what its native decision is then. Empty: theory gives no clean
  answer. With one slope, "over everything" is more than the layer can do.
- *Proper*: whether the optimum's probabilities are the true ones, and no others are.
- *Unimodal*: whether every output means one peak. *Batch*: whether the loss is of the batch as a whole. *Soft*: whether
  labels may be distributions. *Options* are keyword-only, with their defaults.

Every rule (`mode`, `median`, `mean`) can be had of every objective: they read its probabilities, whatever these are
worth, and for `thresholded_regression` its cut points for that rule. A regression's probabilities are a Gaussian around
its output.

{rows}
"""

_COLUMNS = (
    "Objective",
    "Formula",
    "Outputs",
    "Decision",
    "Estimates",
    "Proper",
    "Unimodal",
    "Batch",
    "Soft",
    "Options",
    "Source",
    "Note",
)


def page() -> str:
    """The page as Markdown."""
    lines = [_COLUMNS, tuple("---" for _ in _COLUMNS), *(_line(row) for row in table())]
    return _PAGE.format(rows="\n".join("| " + " | ".join(line) + " |" for line in lines))


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    options = ", ".join(f"`{name}={value!r}`" for name, value in row["options"].items())
    among = f" ({row['truths']} truths)" if row["truths"] else ""
    same = f"By default the same loss as `{row['same_as']}`, up to a factor. " if row["same_as"] else ""
    cells = (
        f"`{row['name']}`",
        row["loss"],
        row["outputs"] + (", one slope" if row["layer"] != "dense" else ""),
        row["decision"],
        row["estimates"] + among,
        "yes" if row["proper"] else f"only for {row['truths']} truths" if row["estimates"] == "distribution" else "no",
        _word(row["unimodal"]),
        _word(row["batch_coupled"]),
        _word(row["soft_labels"]),
        options,
        row["citation"],
        (same + row["note"]).strip(),
    )
    return tuple(cell.replace("|", "\\|") for cell in cells)


def _word(value: bool) -> str:
    return "yes" if value else "no"


if __name__ == "__main__":
    print(page(), end="")
