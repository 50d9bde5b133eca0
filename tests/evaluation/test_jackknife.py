"""Values without one example, in closed form, against leaving each out and measuring again."""

import math

import numpy as np
import pytest

from ordinal_blast.evaluation import jackknife, metrics

K = 4
LABELS = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 1, 0])
GRADES = np.array([[0, 1, 0, 1, 2, 0, 2, 2, 3, 1, 3, 2, 3, 1, 0], [1, 0, 0, 1, 1, 3, 2, 1, 2, 2, 3, 3, 0, 1, 2]])
PROBS = np.random.default_rng(0).dirichlet(np.ones(K), (2, len(LABELS)))
CASES = np.array(["b", "a", "c", "b", "a", "c", "b", "a", "c", "d", "b", "a", "c", "d", "d"])
TIMES = np.array([1, 2, 1, 3, 1, 1, 2, 1, 1, 4, 1, 2, 1, 1, 1])


def measured(name: str, keep: np.ndarray, row: int) -> float:
    """The measure of examples that are repeated so often, from its own public function."""
    chosen = np.repeat(np.arange(len(LABELS)), keep)
    of = PROBS[row] if name in ("rps", "log_loss") else GRADES[row]
    return getattr(metrics, name)(LABELS[chosen], of[chosen], K)


@pytest.mark.parametrize("name", jackknife.MEASURES)
@pytest.mark.parametrize("cases", [None, CASES], ids=["examples", "patients"])
@pytest.mark.parametrize("weights", [None, TIMES], ids=["", "weights"])
def test_a_measure_without_a_unit_is_that_of_the_rest(name, cases, weights):
    values, without = jackknife.leave_one_out(name, LABELS, GRADES, K, PROBS, cases=cases, weights=weights)
    times = np.ones(len(LABELS), int) if weights is None else weights
    units = np.arange(len(LABELS)) if cases is None else np.unique(cases, return_inverse=True)[1]
    expected = [[measured(name, times * (units != u), row) for u in range(units.max() + 1)] for row in range(2)]
    assert values == pytest.approx([measured(name, times, row) for row in range(2)], rel=1e-12)
    assert without == pytest.approx(np.array(expected), rel=1e-12)


@pytest.mark.parametrize("name", jackknife.MEASURES)
def test_weights_count_but_for_their_scale(name):
    plain = jackknife.leave_one_out(name, LABELS, GRADES, K, PROBS)
    scaled = jackknife.leave_one_out(name, LABELS, GRADES, K, PROBS, weights=np.full(len(LABELS), 0.37))
    assert scaled[0] == pytest.approx(plain[0], rel=1e-12)
    assert scaled[1] == pytest.approx(plain[1], rel=1e-12)


@pytest.mark.parametrize("name", ["qwk", "log_loss"])
def test_an_example_without_weight_is_no_unit(name):
    counted = np.arange(len(LABELS)) != 4
    probs = PROBS.copy()
    probs[:, 4] = np.roll(np.eye(K)[LABELS[4]], 1)  # an infinite loss, where it counted
    values, without = jackknife.leave_one_out(name, LABELS, GRADES, K, probs, weights=counted.astype(float))
    expected = jackknife.leave_one_out(name, LABELS[counted], GRADES[:, counted], K, probs[:, counted])
    assert values == pytest.approx(expected[0], rel=1e-12)
    assert without == pytest.approx(expected[1], rel=1e-12)


def test_a_patient_without_weight_is_no_unit():
    counted = CASES != "b"
    _, without = jackknife.leave_one_out("qwk", LABELS, GRADES, K, cases=CASES, weights=counted.astype(float))
    rest = jackknife.leave_one_out("qwk", LABELS[counted], GRADES[:, counted], K, cases=CASES[counted])[1]
    assert without == pytest.approx(rest, rel=1e-12)


@pytest.mark.parametrize("cases", [None, CASES], ids=["examples", "patients"])
def test_chunks_change_nothing(cases, monkeypatch):
    whole = jackknife.leave_one_out("qwk", LABELS, GRADES, K, cases=cases)
    monkeypatch.setattr(jackknife, "CHUNK", 40)
    assert (jackknife.leave_one_out("qwk", LABELS, GRADES, K, cases=cases)[1] == whole[1]).all()


def test_an_infinite_loss_has_no_finite_rest():
    probs = PROBS.copy()
    probs[0, 2] = [0, 1, 0, 0]
    values, without = jackknife.leave_one_out("log_loss", LABELS, GRADES, K, probs)
    assert values[0] == math.inf
    assert not np.isfinite(without[0]).any()
    assert np.isfinite(without[1]).all()


def test_kappa_without_its_only_other_grade_is_undefined():
    _, without = jackknife.leave_one_out("qwk", [0, 0, 0, 1], [[0, 0, 0, 1]], 2)
    assert np.isnan(without[0]).tolist() == [False, False, False, True]
    weights = np.random.default_rng(0).random(40)  # of which sums depend on the order
    labels, patients = np.repeat([0, 1], 20), np.repeat([0, 1, 2], [10, 10, 20])
    mixed = np.random.default_rng(1).permutation(40)
    _, weighted = jackknife.leave_one_out(
        "qwk", labels[mixed], labels[None, mixed], 2, cases=patients[mixed], weights=weights
    )
    assert np.isnan(weighted[0]).tolist() == [False, False, True]


def test_two_units_are_the_fewest():
    _, without = jackknife.leave_one_out("mae", [0, 2], [[1, 2]], 3)
    assert without.tolist() == [[0.0, 1.0]]
    with pytest.raises(ValueError, match="2 examples or more"):
        jackknife.leave_one_out("mae", [0], [[1]], 3)
    with pytest.raises(ValueError, match="of a weight above 0"):
        jackknife.leave_one_out("mae", [0, 2], [[1, 2]], 3, weights=[1, 0])
    with pytest.raises(ValueError, match="at least 2 clusters"):
        jackknife.leave_one_out("mae", [0, 2], [[1, 2]], 3, cases=["a", "a"])


@pytest.mark.parametrize("name", ["mmae", "min_sensitivity", "gmsec", "ece", "nonsense"])
def test_extremes_and_binned_gaps_have_no_jackknife(name):
    with pytest.raises(ValueError, match=f"no jackknife of '{name}'"):
        jackknife.leave_one_out(name, LABELS, GRADES, K, PROBS)


def test_bad_input_is_one_line():
    with pytest.raises(ValueError, match="give probs"):
        jackknife.leave_one_out("rps", LABELS, GRADES, K)
    with pytest.raises(ValueError, match=r"grades must have shape \[R, 15\]"):
        jackknife.leave_one_out("qwk", LABELS, GRADES[:, 1:], K)
    with pytest.raises(ValueError, match=r"grades\[1\] = 4 is outside 0..3"):
        jackknife.leave_one_out("qwk", LABELS, GRADES + (np.arange(15) == 1) * 3, K)


@pytest.mark.parametrize(
    ("name", "labels", "cases", "weights", "lonely"),
    [
        ("amae", [0, 0, 1, 1, 2], None, None, True),
        ("balanced_accuracy", [0, 0, 1, 1, 2, 2], None, None, False),
        ("balanced_accuracy", [0, 0, 1, 1, 2, 2], [1, 2, 1, 2, 3, 3], None, True),
        ("balanced_accuracy", [0, 0, 1, 1, 2, 2], None, [1, 1, 1, 1, 1, 0], True),
        ("balanced_accuracy", [0, 0, 1, 1, 2], None, [1, 1, 1, 1, 0], False),
        ("qwk", [0, 0, 1, 1, 2], None, None, False),
    ],
)
def test_a_mean_over_grades_may_hang_on_one_unit(name, labels, cases, weights, lonely):
    assert jackknife.hangs_on_one_unit(name, labels, cases, weights) is lonely


@pytest.mark.parametrize("name", jackknife.MEASURES)
def test_a_measure_reaches_its_bounds_and_goes_no_further(name):
    ends = jackknife.bounds(name, K)
    labels = np.tile([0, K - 1], 3)
    sure = np.eye(K)[np.stack([labels, labels[::-1]])]
    reached, _ = jackknife.leave_one_out(name, labels, np.stack([labels, labels[::-1]]), K, sure)
    if name == "log_loss":
        assert ends is None
        return
    low, high = ends
    least = 0.2075 if name == "cem" else low  # what is scored by information is never all wrong
    assert sorted(reached) == pytest.approx([least, high], abs=1e-4)
    values, _ = jackknife.leave_one_out(name, LABELS, GRADES, K, PROBS)
    assert ((low <= values) & (values <= high)).all()


def test_another_measure_has_no_bounds():
    assert jackknife.bounds("of_my_own", K) is None
