import numpy as np
import pytest

from ordinal_blast import question
from ordinal_blast.errors import UsageError
from ordinal_blast.question import PRIMARY, Question

VARIANTS, MEASURES = ("cross_entropy", "corn", "coral"), ("mae", "qwk")


def ask(**declared):
    return question.ask("a.py", VARIANTS, MEASURES, **declared)


def test_nothing_said_is_the_first_variant_and_the_absolute_error_of_every_task():
    assert PRIMARY == (("mae", ""),)
    assert ask() == Question("", "cross_entropy", "", (("mae", ""),), None, {})


def test_measures_are_named_alone_or_with_their_task_one_or_several():
    assert ask(primary="qwk").primary == (("qwk", ""),)
    assert ask(primary=["mae", "qwk:icm", "mae"]).primary == (("mae", ""), ("qwk", "icm"))


def test_a_question_is_the_same_after_its_way_through_a_plan():
    asked = ask(
        text="Which?", reference="coral", subject="corn", primary="qwk:te", equivalence=0.1, families={"a": ["corn"]}
    )
    assert question.of_plan({**asked.tree(), "variants": list(VARIANTS)}) == asked


def test_a_plan_of_before_asks_what_nobody_declared():
    plan = {"question": "Which?", "reference": "corn", "variants": list(VARIANTS)}
    assert question.of_plan(plan) == Question("Which?", "corn")


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"reference": "cron"}, "a.py: reference is 'cron': there is corn"),
        ({"subject": 3}, "a.py: subject is 3"),
        ({"subject": 0}, "a.py: subject is 0"),
        ({"subject": np.array(["corn", "coral"])}, "a.py: subject is array"),
        ({"primary": []}, 'give "measure" or "measure:task"'),
        ({"families": []}, "give a mapping"),
        ({"subject": "cross_entropy"}, "subject and reference are both 'cross_entropy'"),
        ({"primary": "mea"}, "a.py: primary is 'mea': there is mae"),
        ({"primary": ["mae", 3]}, 'give "measure" or "measure:task"'),
        ({"primary": {"mae": 1}}, 'give "measure" or "measure:task"'),
        ({"equivalence": -0.1}, "a number above 0"),
        ({"equivalence": float("nan")}, "a number above 0"),
        ({"equivalence": True}, "a number above 0"),
        ({"equivalence": 10**400}, "a number above 0"),
        ({"reference": ""}, "a.py: reference is ''"),
        ({"families": {"a": ["cron"]}}, "a.py: family a is 'cron': there is corn"),
        ({"families": ["corn"]}, "give a mapping"),
        ({"families": {"a": "corn"}}, "give names of variants in a list"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(declared, words):
    with pytest.raises(UsageError, match=r"a\.py") as refusal:
        ask(**declared)
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    "damage",
    [
        {"primary": []},
        {"primary": [["mae"]]},
        {"primary": "mae"},
        {"equivalence": 0},
        {"equivalence": "0.1"},
        {"equivalence": 10**400},
        {"subject": "cron"},
        {"families": {"a": ["cron"]}},
        {"families": []},
        {"families": {"a": [["corn"]]}},
    ],
)
def test_a_damaged_plan_is_no_question(damage):
    with pytest.raises(ValueError, match="damaged"):
        question.of_plan({"question": "", "reference": "corn", "variants": list(VARIANTS), **damage})


def test_a_task_that_is_not_graded_is_refused():
    question.check_tasks(ask(primary="mae:icm"), ["icm", "te"])
    with pytest.raises(UsageError, match="primary mae:icn is 'icn': there is icm"):
        question.check_tasks(ask(primary="mae:icn"), ["icm", "te"])


def test_another_question_keeps_what_is_not_changed():
    first = ask(subject="corn", primary="qwk:te", equivalence=0.1)
    other = first.another("report", VARIANTS, MEASURES, primary=["mae"], equivalence=None)
    assert other == Question("", "cross_entropy", "corn", (("mae", ""),), 0.1, {})
    assert first.another("report", VARIANTS, MEASURES, reference="corn").subject == ""
