"""What a study asks: about which variant, against which, by which measure, and how small a difference does not matter.

An ablation declares it; `plan.json` carries it; a report answers it, or another one that is asked of the same runs.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ordinal_blast.errors import UsageError

PRIMARY = (("mae", ""),)  # every grade counts by its distance, whatever the loss


@dataclasses.dataclass(frozen=True)
class Question:
    """A question in words, and what decides it.

    reference: what all are compared with. subject: the variant that it is about, empty where all are looked at alike.
    primary: (measure, task) pairs that one verdict is adjusted over, task "" for every task. equivalence: a difference
    of a primary measure that does not matter, None where nobody said. families: variants that belong together.
    """

    text: str = ""
    reference: str = ""
    subject: str = ""
    primary: tuple[tuple[str, str], ...] = PRIMARY
    equivalence: float | None = None
    families: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def another(self, where: str, variants: Sequence[str], measures: Collection[str], **changes: Any) -> Question:
        """This question with what is changed of it, as `ask` takes it; None changes nothing."""
        present = {
            "reference": self.reference,
            "subject": self.subject,
            "primary": [f"{measure}:{task}" if task else measure for measure, task in self.primary],
            "equivalence": self.equivalence,
            "families": self.families,
        }
        chosen = {name: value for name, value in changes.items() if value is not None}
        if chosen.get("reference") == self.subject and "subject" not in chosen:
            present["subject"] = ""
        return ask(where, variants, measures, text=self.text, **present | chosen)

    def tree(self) -> dict[str, Any]:
        """As `plan.json` has it."""
        return {
            "question": self.text,
            "reference": self.reference,
            "subject": self.subject,
            "primary": [list(pair) for pair in self.primary],
            "equivalence": self.equivalence,
            "families": {name: list(members) for name, members in self.families.items()},
        }


def ask(
    where: str,
    variants: Sequence[str],
    measures: Collection[str],
    *,
    text: str = "",
    reference: str | None = None,
    subject: str | None = None,
    primary: str | Sequence[str] | None = None,
    equivalence: float | None = None,
    families: Mapping[str, Sequence[str]] | None = None,
) -> Question:
    """The question that somebody wrote: names of variants, and "measure" or "measure:task", one or several.

    Left out: the first variant as reference, no subject, the mean absolute error of every task. Raises UsageError for
    a name that is none, a subject that is the reference, and a region that is no positive number.
    """
    reference = _name(f"{where}: reference", reference, variants) if reference is not None else variants[0]
    nothing = subject is None or (isinstance(subject, str) and not subject)
    about = "" if nothing else _name(f"{where}: subject", subject, variants)
    if about == reference:
        raise UsageError(f"{where}: subject and reference are both {about!r}: one is compared with the other")
    return Question(
        text,
        reference,
        about,
        PRIMARY if primary is None else _primary(where, primary, measures),
        _region(where, equivalence),
        _families(where, {} if families is None else families, variants),
    )


def of_plan(plan: Mapping[str, Any]) -> Question:
    """The question of a `plan.json`, whose keys may lack where it was written before they were; raises ValueError."""
    primary = plan.get("primary", [list(pair) for pair in PRIMARY])
    equivalence, families = plan.get("equivalence"), plan.get("families", {})
    subject = plan.get("subject", "")
    sound = (
        isinstance(primary, list)
        and primary
        and all(isinstance(pair, list) and len(pair) == 2 and _texts(pair) for pair in primary)
        and (equivalence is None or (_is_number(equivalence) and equivalence > 0))
        and isinstance(families, dict)
        and all(isinstance(members, list) for members in families.values())
        and all(member in plan["variants"] for members in families.values() for member in members)
        and subject in ("", *plan["variants"])
    )
    if not sound:
        raise ValueError("what it asks is damaged")
    return Question(
        plan["question"],
        plan["reference"],
        subject,
        tuple((measure, task) for measure, task in primary),
        equivalence,
        {name: tuple(members) for name, members in families.items()},
    )


def check_tasks(question: Question, tasks: Collection[str]) -> None:
    """Raise UsageError for a primary measure of a task that is not graded."""
    for measure, task in question.primary:
        if task:
            _name(f"primary {measure}:{task}", task, tuple(tasks))


def _primary(where: str, primary: str | Sequence[str], measures: Collection[str]) -> tuple[tuple[str, str], ...]:
    asked = [primary] if isinstance(primary, str) else primary
    if not isinstance(asked, list | tuple) or not _texts(asked):
        raise UsageError(f'{where}: primary is {primary!r:.100}: give "measure" or "measure:task", one or a list')
    pairs = [text.partition(":")[::2] for text in asked]
    for measure, _ in pairs:
        _name(f"{where}: primary", measure, tuple(measures))
    return tuple(dict.fromkeys((measure, task) for measure, task in pairs))


def _region(where: str, equivalence: float | None) -> float | None:
    if equivalence is not None and not (_is_number(equivalence) and equivalence > 0):
        raise UsageError(
            f"{where}: equivalence is {equivalence!r:.100}: give the largest difference of the primary measure that "
            "does not matter, a number above 0"
        )
    return equivalence


def _families(where: str, families: Mapping[str, Sequence[str]], variants: Sequence[str]) -> dict[str, tuple[str, ...]]:
    if not isinstance(families, Mapping):
        raise UsageError(f"{where}: families are {families!r:.100}: give a mapping of names to lists of variants")
    for name, members in families.items():
        if not isinstance(name, str) or not isinstance(members, list | tuple):
            raise UsageError(f"{where}: family {name!r:.100} is {members!r:.100}: give names of variants in a list")
        for member in members:
            _name(f"{where}: family {name}", member, variants)
    return {name: tuple(members) for name, members in families.items()}


def _name(what: str, name: Any, known: Sequence[str]) -> str:
    if isinstance(name, str) and name in known:
        return name
    near = difflib.get_close_matches(str(name), known, 3, 0.4) or list(known)
    raise UsageError(f"{what} is {name!r:.100}: there is {', '.join(near[:20])}")


def _texts(values: Sequence[Any]) -> bool:
    return bool(values) and all(isinstance(value, str) for value in values)


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an int beyond float64
        return False
