"""Several questions of one configuration: what they share is done once, and each has its chapter."""

import re

import numpy as np
import pytest

import ordinal_blast
from ordinal_blast import record, report, settings
from ordinal_blast.errors import UsageError
from ordinal_blast.study import grading, questions, runner, session
from ordinal_blast.study import plan as plans

pytestmark = pytest.mark.usefixtures("compile_quickly")  # tests/training checks the optimised code
LOSSES = '''"""Which loss?"""
def variants():
    yield "nominal", {"objective.name": "cross_entropy"}
    yield "ordinal", {"objective.name": "ordinal_cross_entropy"}
'''
RULES = '''"""Which rule?"""
PRIMARY = "qwk"
def variants():
    yield "mode", {"objective.name": "cross_entropy"}
    yield "median", {"objective.name": "cross_entropy", "objective.rule": "median"}
'''


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("questions")
    for name, text in (("losses", LOSSES), ("rules", RULES)):
        (folder / f"{name}.py").write_text(text)
    return folder


def base(asked, tiny_overrides, names):
    return settings.load(
        "configs/retinamnist.py", {**tiny_overrides, "questions": [str(asked / f"{name}.py") for name in names]}
    )


def go(asked, tiny_overrides, names, root, seeds=1):
    planned = questions.plans(base(asked, tiny_overrides, names), seeds)
    return questions.run(planned, root, "the command", session.begin(1))


def trained(root, cell):
    return record.read(root / cell).models["cnn"].training


def test_what_one_question_trained_another_decides_from(asked, tiny_overrides, capsys):
    root = asked / "run"
    assert go(asked, tiny_overrides, ["losses", "rules"], root) == []
    assert "shared_with" not in trained(root, "losses/cells/nominal-s0")
    for name in ("mode", "median"):
        assert trained(root, f"rules/cells/{name}-s0")["shared_with"] == "nominal-s0"
    nominal, mode = (
        record.read(root / cell).models["cnn"].splits["test"].tasks["grade"]
        for cell in ("losses/cells/nominal-s0", "rules/cells/mode-s0")
    )
    np.testing.assert_array_equal(nominal.outputs, mode.outputs)
    assert nominal.measures == mode.measures
    for name in ("losses/cells/nominal-s0", "rules/cells/mode-s0"):
        with grading.opened(root / name, None) as opened:
            ((_, folder),) = opened.chain
        assert folder.resolve() == (root / "losses/cells/nominal-s0").resolve()
    said = capsys.readouterr().err
    assert "\n  losses/ordinal-s0 cnn: 3 epochs, " in said
    assert "[4/4] rules/median-s0" in said  # of all questions
    assert re.findall(r"\[(\d)/4\] .* left", said) == ["1"]  # the last two are decided, which takes no time


def test_a_study_goes_on_and_takes_a_question_more_without_losing_one(asked, tiny_overrides, capsys):
    root = asked / "more"
    assert go(asked, tiny_overrides, ["losses"], root) == []
    stamps = {path: path.stat().st_mtime_ns for path in root.rglob("result.json")}
    capsys.readouterr()
    assert go(asked, tiny_overrides, ["rules", "losses"], root) == []
    said = capsys.readouterr().err
    assert said.count("finished before") == 2
    assert " left" not in said  # what another question trained, though it is asked later, is not trained again
    assert trained(root, "rules/cells/mode-s0")["shared_with"] == "nominal-s0"
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert record.read_questions(root) == ["losses", "rules"]
    assert go(asked, tiny_overrides, ["rules"], root) == []
    assert record.read_questions(root) == ["losses", "rules"]


def test_each_question_is_a_chapter_with_its_reference_and_measure(asked):
    studies = report.read([asked / "run"])
    assert [(study.plan["question"], study.reference) for study in studies] == [
        ("Which loss?", "nominal"),
        ("Which rule?", "mode"),
    ]
    assert [study.plan["experiment"].partition(": ")[2] for study in studies] == ["losses", "rules"]
    page = report.write(studies, asked / "page", "the command").read_text()
    assert "Which loss?" in page
    assert "Which rule?" in page
    with pytest.raises(UsageError, match=r"run holds several questions \(losses, rules\): load .*run/losses"):
        ordinal_blast.load(asked / "run")
    assert ordinal_blast.load(asked / "run" / "rules").reference == "mode"


def test_a_failed_cell_is_named_with_its_question(asked, tiny_overrides):
    (asked / "wild.py").write_text(
        '"""Too fast?"""\ndef variants():\n    yield "wild", {"cnn.optimizer.learning_rate": 1e30}\n'
    )
    assert go(asked, tiny_overrides, ["wild", "losses"], asked / "failing") == ["wild/wild-s0"]
    assert record.finished(asked / "failing/losses/cells/ordinal-s0")


def test_what_is_no_study_is_refused_before_any_work(asked, tiny_overrides, tmp_path):
    with pytest.raises(UsageError, match=r"questions is empty, and a study asks some: --config.questions="):
        questions.plans(base(asked, tiny_overrides, []), 1)
    (tmp_path / "losses.py").write_text(LOSSES)
    twice = settings.override(
        base(asked, tiny_overrides, ["losses"]),
        {"questions": [str(asked / "losses.py"), str(tmp_path / "losses.py")]},
    )
    with pytest.raises(UsageError, match=r"questions has losses twice"):
        questions.plans(twice, 1)
    with pytest.raises(UsageError, match=r"losses holds one run .*: use another --workdir for a study"):
        go(asked, tiny_overrides, ["losses"], asked / "run" / "losses")
    (tmp_path / "questions.json").write_text('{"schema": 2, "questions": ["../away"]}')
    with pytest.raises(ordinal_blast.errors.UserError, match=r"questions.json is damaged: delete it and run the comm"):
        report.read([tmp_path])


@pytest.mark.parametrize("name", ["stages", "Report", "my question", "-q", "é"])
def test_a_question_whose_folder_would_be_no_folder_of_its_own_is_refused(asked, tiny_overrides, tmp_path, name):
    (tmp_path / f"{name}.py").write_text(LOSSES)
    settings_of = settings.override(base(asked, tiny_overrides, []), {"questions": [str(tmp_path / f"{name}.py")]})
    with pytest.raises(UsageError, match=rf"questions has .*, and no folder of a question may be called '{name}': n"):
        questions.plans(settings_of, 1)


def test_questions_that_differ_in_the_size_of_letters_are_refused(asked, tiny_overrides, tmp_path):
    (tmp_path / "LOSSES.py").write_text(LOSSES)
    both = [str(asked / "losses.py"), str(tmp_path / "LOSSES.py")]
    with pytest.raises(UsageError, match=r"questions has LOSSES twice"):
        questions.plans(settings.override(base(asked, tiny_overrides, []), {"questions": both}), 1)


def test_a_study_that_is_refused_leaves_nothing_behind_and_one_run_does_not_take_its_folder(
    asked, tiny_overrides, tmp_path
):
    wrong = {**tiny_overrides, "cnn.training.batch_size": 10_000}
    with pytest.raises(UsageError, match="batch_size is 10000"):
        go(asked, wrong, ["losses"], tmp_path / "refused")
    assert not (tmp_path / "refused").exists()
    record.write_questions(tmp_path / "study", ["losses"])
    one = plans.single(base(asked, tiny_overrides, []))
    with pytest.raises(UsageError, match=r"study holds a study \(it has a questions.json\): use another --workdir"):
        runner.run(one, tmp_path / "study", "the command", session.begin(1))
