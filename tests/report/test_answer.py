"""The plain answer says no more than the numbers do."""

from __future__ import annotations

import pytest

from ordinal_blast.report import answer, load


@pytest.fixture
def told(write_run, measured, tmp_path):
    """A function that sets QWK of variants a (the reference) and b per seed, and returns lead and finding."""

    def tell(a: list[float], b: list[float]) -> tuple[str, str]:
        change = measured(lambda variant, seed: {"qwk": {"a": a, "b": b}[variant][seed]})
        options = {"seeds": range(len(a)), "stages": ("rnn",), "tasks": ("icm",), "n": 30}
        study = load(write_run(tmp_path / "run", ("a", "b"), change=change, **options))
        (finding,) = answer.findings(study)
        return answer.lead(study), finding

    return tell


def test_a_difference_that_stands_out(told):
    lead, finding = told([0.50, 0.52, 0.54], [0.60, 0.63, 0.64])  # differences 0.10, 0.11, 0.10
    assert "Of 1 paired difference to a, 1 has a 95\xa0% interval over seeds that excludes zero: 1 in favour" in lead
    assert "about 0.1 would by chance" in lead
    assert "b has the best mean QWK (0.623\xa0±\xa0" in finding
    assert "the interval excludes zero for b on QWK +0.103 [+0.089, +0.118]" in finding


def test_a_difference_that_does_not(told):
    lead, finding = told([0.50, 0.60, 0.70], [0.60, 0.55, 0.75])  # differences 0.10, −0.05, 0.05
    assert lead.startswith("No difference is established")
    assert "The lead over a may be seed variance alone on QWK" in finding


def test_the_reference_ahead(told):
    lead, finding = told([0.60, 0.63, 0.64], [0.50, 0.52, 0.54])
    assert "0 in favour of the other variant, 1 in favour of a" in lead
    assert "No variant has a better mean than the reference a" in finding


def test_equal_seeds_give_no_interval(told):
    lead, _ = told([0.5, 0.5], [0.6, 0.6])
    assert "no interval over seeds exists" in lead


def test_one_seed(told):
    lead, finding = told([0.5], [0.6])
    assert "One seed was run" in lead
    assert "excludes zero" not in lead + finding
    assert "±" not in finding


def test_a_collapsed_model_is_named(write_run, tmp_path):
    def constant(kept):
        if kept.cell == "1-s1":
            kept.models["rnn"].splits["test"].tasks["icm"].grades[:] = 2

    options = {"variants": ("a", "b"), "seeds": (0, 1), "stages": ("rnn",), "tasks": ("icm",), "n": 30}
    assert answer.collapsed(load(write_run(tmp_path / "learned", **options))) == []
    study = load(write_run(tmp_path / "collapsed", change=constant, **options))
    (note,) = answer.collapsed(study)
    assert note.endswith("the same grade with at least one seed: RNN · ICM: b.")
    assert note in answer.findings(study)
