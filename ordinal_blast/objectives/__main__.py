"""Writes what is made of the losses: `python -m ordinal_blast.objectives`, in a checkout.

The exports of the package (`__init__.py`) and the page that helps to choose an objective (`docs/objectives.md`).
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ordinal_blast.objectives import references
from ordinal_blast.objectives.loss import is_objective
from ordinal_blast.objectives.references import Entry
from ordinal_blast.objectives.registry import table

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
_NO_LOSSES = ("__main__", "layers")  # layers needs Flax
_EXPORTS = '''\
"""What is optimised: ordinal losses as pure functions of raw outputs, and the decisions that belong to them.

    objective = objectives.get("ordinal_cross_entropy", num_classes=3, power=1.0)
    objective.loss(outputs, labels, weights)      # scalar
    objective.predict(outputs)                    # grades
    objectives.ordinal_cross_entropy(logits, labels, power=1.0)      # [B], for any training loop

Every loss of this package is a function here under the name that `names()` lists. Written by
`python -m ordinal_blast.objectives`, which finds them.
"""

{imports}

__all__ = [
{names}
]
'''
_CONTRACT = {
    "bound": ["Objective"],
    "families": ["Family"],
    "loss": ["BatchLoss", "Loss", "objective"],
    "registry": ["get", "names", "table"],
}

_PAGE = """# Objectives

Made by `python -m ordinal_blast.objectives`; do not edit by hand.

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

## References

{works}
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


def exports() -> str:
    """The text of `__init__.py`: the contract, and every decorated function of any file of the package."""
    public = dict(_CONTRACT)
    for info in pkgutil.iter_modules([str(_HERE)]):
        if info.name not in _NO_LOSSES:
            module = importlib.import_module(f"{__package__}.{info.name}")
            losses = [k for k, f in vars(module).items() if is_objective(f) and f.__module__ == module.__name__]
            public[info.name] = public.get(info.name, []) + losses
    imports = [_import(file, sorted(names)) for file, names in sorted(public.items()) if names]
    names = sorted((name for names in public.values() for name in names), key=lambda name: (name.islower(), name))
    return _EXPORTS.format(imports="\n".join(imports), names="\n".join(f'    "{name}",' for name in names))


def _import(file: str, names: Iterable[str]) -> str:
    line = f"from {__package__}.{file} import {', '.join(names)}"
    return (
        line
        if len(line) <= 120
        else "\n".join([f"from {__package__}.{file} import (", *(f"    {n}," for n in names), ")"])
    )


def page() -> str:
    """The page as Markdown."""
    works = references.entries()
    cited = {key for row in table() for key in row["cites"]}
    lines = [_COLUMNS, tuple("---" for _ in _COLUMNS), *(_line(row, works) for row in table())]
    rows = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    cited |= {key for key, work in works.items() if f"[{work.label}]" in rows}
    return _PAGE.format(rows=rows, works="\n".join(_work(works[key]) for key in sorted(cited)))


def _line(row: dict[str, Any], works: Mapping[str, Entry]) -> tuple[str, ...]:
    options = ", ".join(f"`{name}={value!r}`" for name, value in row["options"].items())
    among = f" ({row['truths']} truths)" if row["truths"] else ""
    same = f"By default the same loss as `{row['same_as']}`, up to a factor. " if row["same_as"] else ""
    note = (same + row["note"]).strip()
    for work in works.values():
        note = note.replace(work.label, _cited(work))
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
        "; ".join(_cited(works[key]) for key in row["cites"]),
        note,
    )
    return tuple(cell.replace("|", "\\|") for cell in cells)


def _cited(work: Entry) -> str:
    return f"[{work.label}](#{work.key})"


def _work(work: Entry) -> str:
    title = f"[{work.title}](<{work.address}>)" if work.address else work.title
    return f'- <a id="{work.key}"></a>{work.label}. {title}.'


def _word(value: bool) -> str:
    return "yes" if value else "no"


if __name__ == "__main__":
    (_HERE / "__init__.py").write_text(exports())
    importlib.reload(sys.modules[__package__])  # with the losses that are new
    (_ROOT / "docs/objectives.md").write_text(page())
