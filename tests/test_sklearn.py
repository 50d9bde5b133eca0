"""OrdinalClassifier: scikit-learn's own checks, the order of grades, decisions, parts of one's own."""

import importlib
import pickle
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from ordinal_blast import objectives
from ordinal_blast.errors import UsageError
from ordinal_blast.settings import OptimizerSettings, ScheduleSettings, TrainingSettings
from ordinal_blast.sklearn import OrdinalClassifier, _divided
from ordinal_blast.training import loop, optimizer
from ordinal_blast.training.problem import GradingLoss

pytestmark = pytest.mark.usefixtures("compile_quickly")
NAMES = np.array(["poor", "fair", "good", "best"])  # by the alphabet: best, fair, good, poor

NETWORK = """
import flax.linen as nn

class Net(nn.Module):
    width: int = 8

    @nn.compact
    def __call__(self, x, train):
        x = nn.relu(nn.Dense(self.width)(x))
        x = nn.BatchNorm(use_running_average=not train, momentum=0.8)(x)
        return nn.Dropout(0.1, deterministic=not train)(x)
"""
LOSS = """
import jax
import jax.numpy as jnp

def distance(logits, labels, *, power: float = 1.0):
    return jnp.sum(jax.nn.softmax(logits) * jnp.abs(jnp.arange(4)[None, :] - labels[:, None]) ** power, axis=-1)
"""


@pytest.fixture(scope="module")
def table():
    """120 rows of three numbers, and four grades that a line through them orders."""
    rows = np.random.default_rng(0).normal(size=(120, 3))
    return rows, np.digitize(rows @ [1.0, -0.5, 0.0], [-0.8, 0.0, 0.8])


def small(objective="corn", **parameters):
    return OrdinalClassifier(
        objective, **{"epochs": 15, "batch_size": 27, "learning_rate": 0.01, "random_state": 0, **parameters}
    )


@pytest.mark.filterwarnings("ignore:grades are taken in the order of the alphabet")
@parametrize_with_checks([OrdinalClassifier()])
def test_scikit_learn_finds_nothing_wrong(estimator, check):
    check(estimator)


@pytest.mark.parametrize("objective", ["corn", "cross_entropy", "cumulative_link", "mce_qwk", "thresholded_regression"])
def test_every_family_of_outputs_learns_the_order(table, objective):
    rows, grades = table
    fitted = small(objective, epochs=40, patience=0).fit(rows, grades)
    assert np.mean(np.abs(fitted.predict(rows) - grades)) < 0.3
    assert np.corrcoef(fitted.ranking_score(rows), rows @ [1.0, -0.5, 0.0])[0, 1] > 0.9
    np.testing.assert_allclose(fitted.predict_proba(rows).sum(axis=1), 1, rtol=1e-12)


HOUSING = """
21 21 28 34 22 36 10 11 36 61 23 17 43 35 40 26 18 54 13 9 10 8 8 12 6 7 9 18 6 7 15 13 13 7 5 11
14 19 37 17 23 40 3 5 23 78 46 43 48 45 86 15 25 62 20 23 20 10 22 24 7 10 21 57 23 13 31 21 13 5 6 13
"""  # how many households of each satisfaction (fastest), influence, type of house and contact: `housing` of R's MASS


@pytest.fixture(scope="module")
def households():
    """The 72 rows of MASS::housing as indicators, their grades and how many households each stands for."""
    contact, kind, influence, satisfaction = np.indices((2, 4, 3, 3)).reshape(4, -1)
    columns = [influence == 1, influence == 2, kind == 1, kind == 2, kind == 3, contact == 1]
    return np.column_stack(columns).astype(float), satisfaction, np.fromstring(HOUSING, sep=" ")


def linear(households, objective, **parameters):
    """The likelihood is that of its maximum to 1e-7, where float32 ends: parameters are then as near as its root."""
    rows, grades, count = households
    parameters |= {"epochs": 300, "learning_rate": 0.1, "batch_size": 72, "validation_fraction": 0, "patience": 0}
    options = {"widths": (), "dropout": 0.0}
    fitted = OrdinalClassifier(objective, network_options=options, standardize=False, random_state=0, **parameters)
    return fitted.fit(rows, grades, count)


def test_a_cumulative_link_on_a_line_is_the_proportional_odds_model_of_r(households):
    """MASS::polr(Sat ~ Infl + Type + Cont, weights = Freq, data = housing), which ordinal::clm gives too."""
    fitted = linear(households, "cumulative_link")
    rows, grades, count = households
    head = fitted.variables_["params"]["grade_head"]
    slopes = [0.566393738, 1.288819110, -0.572350002, -0.366186371, -1.091014659, 0.360284005]
    np.testing.assert_allclose(head["score"]["kernel"][:, 0], slopes, atol=2e-3)
    cuts = [head["first"][0], head["first"][0] + np.log1p(np.exp(head["steps"][0])) + 1e-3]
    np.testing.assert_allclose(cuts, [-0.496135138, 0.690708259], atol=2e-3)
    probs = fitted.predict_proba(rows)
    np.testing.assert_allclose(probs[0], [0.378449355, 0.287675109, 0.333875536], atol=1e-3)
    np.testing.assert_allclose(probs[71], [0.258414880, 0.274691562, 0.466893558], atol=1e-3)
    assert count @ np.log(probs[np.arange(72), grades]) == pytest.approx(-1739.57464953, rel=1e-7)


def test_cross_entropy_on_a_line_is_multinomial_regression(households):
    rows, grades, count = households
    ours = linear(households, "cross_entropy").predict_proba(rows)
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(rows, grades, count).predict_proba(rows)
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_names_in_a_stated_order_are_graded_as_numbers_are(table):
    rows, grades = table
    by_number = small().fit(rows, grades)
    for fitted in (
        small().fit(rows, pd.Series(pd.Categorical(NAMES[grades], categories=NAMES, ordered=True))),
        small(classes=NAMES.tolist()).fit(rows, NAMES[grades]),
    ):
        assert fitted.grades_.tolist() == NAMES.tolist()
        assert fitted.classes_.tolist() == ["best", "fair", "good", "poor"]
        np.testing.assert_array_equal(fitted.predict(rows), NAMES[by_number.predict(rows)])
        np.testing.assert_array_equal(fitted.predict_proba(rows), by_number.predict_proba(rows)[:, [3, 1, 2, 0]])
        np.testing.assert_array_equal(fitted.ranking_score(rows), by_number.ranking_score(rows))


def test_scorers_of_probabilities_read_names_in_a_stated_order_rightly(table):
    rows, grades = table
    named = pd.Series(pd.Categorical(NAMES[grades], categories=NAMES, ordered=True))
    scores = [cross_val_score(small(), rows, y, cv=2, scoring="neg_log_loss") for y in (grades, named)]
    np.testing.assert_array_equal(*scores)


def test_names_whose_order_nothing_states_are_sorted_with_a_warning(table):
    rows, grades = table
    for named in (NAMES[grades], pd.Series(pd.Categorical(NAMES[grades], categories=NAMES))):
        with pytest.warns(UserWarning, match="order of the alphabet, best, fair, good, poor: state it as classes"):
            assert small(epochs=1).fit(rows, named).grades_.tolist() == sorted(NAMES)


def test_a_stated_grade_without_a_row_keeps_its_place(table):
    rows, grades = table
    fitted = small(classes=range(5)).fit(rows, grades)
    assert fitted.predict_proba(rows).shape == (120, 5)
    assert set(fitted.predict(rows)) <= {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"classes": ["a", "b"]}, r"y has 0, which is not in classes \['a', 'b'\]"),
        ({"classes": [0, 1, 2, 3, 3]}, r"classes has a grade twice: \[0, 1, 2, 3, 3\]"),
    ],
)
def test_grades_that_do_not_fit_are_refused(table, parameters, message):
    with pytest.raises(ValueError, match=message):
        small(**parameters).fit(*table)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"objective": "korn"}, "objective is 'korn' .did you mean corn"),
        ({"objective_options": {"power": 2.0}}, "objective.options has no power: it takes threshold_weights"),
        ({"rule": "mod"}, "rule is 'mod' .did you mean mode"),
        ({"network": "xception"}, "network xception reads images: name one that reads numbers"),
        ({"network_options": {"width": 3}}, "network.options has no width"),
        ({"optimizer": "adm"}, "optimizer.name is 'adm'"),
        ({"schedule": "cosin"}, "schedule.name is 'cosin' .did you mean cosine"),
        ({"epochs": 0}, "training.epochs is 0: it takes a whole number from 1 on"),
        ({"learning_rate": -1.0}, "optimizer.learning_rate is -1.0: it takes a number above 0"),
        ({"validation_fraction": 1.0}, "validation_fraction is 1.0: it takes a number of at least 0 and below 1"),
    ],
)
def test_parameters_that_cannot_be_are_told_before_training(table, parameters, message):
    with pytest.raises(UsageError, match=message):
        small(**parameters).fit(*table)


def test_another_rule_needs_no_second_fit(table):
    rows, grades = table
    fitted = small(epochs=3).fit(rows, grades)
    probs = fitted.predict_proba(rows)
    expected = {
        "mode": probs.argmax(axis=1),
        "median": (probs.cumsum(axis=1) < 0.5).sum(axis=1),
        "mean": np.rint(probs @ np.arange(4)).astype(int),
    }
    assert any((expected["mode"] != expected[rule]).any() for rule in ("median", "mean"))
    for rule, decided in expected.items():
        np.testing.assert_array_equal(fitted.set_params(rule=rule).predict(rows), decided, err_msg=rule)


def test_balanced_classes_are_weights_of_rows(table):
    rows, grades = table
    weights = (len(grades) / (4 * np.bincount(grades)))[grades]
    by_class = small(class_weight="balanced").fit(rows, grades).predict_proba(rows)
    np.testing.assert_array_equal(by_class, small().fit(rows, grades, sample_weight=weights).predict_proba(rows))
    assert (by_class != small().fit(rows, grades).predict_proba(rows)).any()


def test_training_gets_what_the_parameters_and_weights_say(table, monkeypatch):
    rows, grades = table
    calls = {}

    class Stopped(Exception):
        pass

    def fit(problem, train, val, training, **rest):
        calls.update(rest, problem=problem, parts=(train, val), training=training)
        raise Stopped

    monkeypatch.setattr(loop, "fit", fit)
    weights, of_class = np.random.default_rng(1).uniform(0.5, 2, 120), {0: 1.0, 1: 2.0, 2: 3.0, 3: 0.5}
    weights[:5] = 0
    stated = {
        **{"objective_options": {"power": 2.0}, "optimizer": "sgd", "optimizer_options": {"momentum": 0.5}},
        **{"learning_rate": 0.3, "schedule": "cosine", "schedule_options": {"end": 0.1}, "epochs": 7, "batch_size": 9},
        **{"patience": 3, "ema": 0.5, "class_weight": of_class, "random_state": 5, "validation_fraction": 0.2},
    }
    with pytest.raises(Stopped):
        OrdinalClassifier("ordinal_cross_entropy", **stated).fit(rows, grades, weights)
    training = TrainingSettings(batch_size=9, epochs=7, patience=3, ema=0.5, steps_per_dispatch=100, threads=0)
    assert calls["training"] == training
    assert calls["seed"] == np.random.RandomState(5).randint(2**31 - 1)
    problem, objective = calls["problem"], objectives.get("ordinal_cross_entropy", num_classes=4, power=2.0)
    assert problem.loss == GradingLoss((("grade", objective),))
    sections = OptimizerSettings("sgd", 0.3, {"momentum": 0.5}), ScheduleSettings("cosine", {"end": 0.1})
    assert problem.optimizer == optimizer.make(*sections, training, "a test")
    assert (problem.model.backbone.widths, problem.model.backbone.dropout) == ((64, 64), 0.1)
    kept = np.lexsort(rows[5:].T[::-1]) + 5
    rows, grades, weights = rows[kept], grades[kept], (weights * np.vectorize(of_class.get)(grades))[kept]
    mean = np.average(rows, axis=0, weights=weights)
    spread = np.sqrt(np.average((rows - mean) ** 2, axis=0, weights=weights))
    places = [part.ids.astype(int) for part in calls["parts"]]
    assert [len(place) for place in places] == [92, 23]
    assert sorted(np.concatenate(places)) == list(range(115))
    for part, place in zip(calls["parts"], places, strict=True):
        numbers = part.inputs(np.arange(len(place)))
        np.testing.assert_allclose(numbers, ((rows - mean) / spread)[place], rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(part.labels["grade"], grades[place])
        np.testing.assert_allclose(part.weights["grade"], weights[place], rtol=1e-6)
    with pytest.raises(Stopped):
        OrdinalClassifier(standardize=False).fit(*table)
    raw = np.sort(np.concatenate([part.inputs(np.arange(len(part.ids))) for part in calls["parts"]]), axis=0)
    np.testing.assert_array_equal(raw, np.sort(table[0].astype(np.float32), axis=0))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([-1.0] + [1.0] * 119, "sample_weight has a negative value"),
        ([0.0] * 120, "sample_weight is zero for every row|at least one non-zero"),
    ],
)
def test_weights_that_cannot_be_are_refused(table, weights, message):
    with pytest.raises(ValueError, match=message):
        small().fit(*table, np.asarray(weights))
    with pytest.raises(ValueError, match=message):
        small().score(*table, np.asarray(weights))


@pytest.mark.parametrize(("of_first", "message"), [(-1.0, "has a negative value"), (0.0, "is zero for every row")])
def test_class_weights_that_cannot_be_are_refused(table, of_first, message):
    rows, grades = table
    with pytest.raises(ValueError, match=f"class_weight {message}"):
        small(class_weight={grade: of_first for grade in np.unique(grades)}).fit(rows, grades)


def test_one_grade_teaches_nothing(table):
    rows, grades = table
    with pytest.raises(ValueError, match="y has 1 class where it counts, 2: two or more are needed"):
        small().fit(rows, grades, (grades == 2).astype(float))


def test_rows_of_the_same_numbers_are_never_divided():
    """Twenty numbers with both grades each: taken apart, a row kept back would teach the opposite of itself."""
    numbers = np.repeat(np.arange(20.0), 2)[:, None]
    grades = np.tile([0, 1], 20)
    fitted = small(epochs=60, patience=0, validation_fraction=0.25).fit(numbers, grades)
    np.testing.assert_allclose(fitted.predict_proba(numbers), 0.5, atol=0.1)
    train, val = _divided(numbers, grades, 0.25, 0)
    assert not set(numbers[train].ravel()) & set(numbers[val].ravel())
    assert sorted([*train, *val]) == list(range(40))
    assert len(val) == 10


def test_the_seed_decides(table):
    rows, grades = table
    first, again, other = (small(random_state=seed).fit(rows, grades).predict_proba(rows) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_training_stops_when_the_validation_loss_has_not_fallen(table, capsys):
    rows, grades = table
    fitted = small(epochs=200, patience=3, learning_rate=0.05, verbose=True).fit(rows, grades)
    assert fitted.n_iter_ == len(fitted.history_) == fitted.best_epoch_ + 3 < 200
    losses = [line["val_loss"] for line in fitted.history_]
    assert fitted.best_epoch_ == 1 + int(np.argmin(losses))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == fitted.n_iter_
    assert lines[1] == (
        f"epoch 2 of 200: training loss {fitted.history_[1]['train_loss']:.4f}, validation loss {losses[1]:.4f}"
    )


def test_without_a_validation_share_the_training_rows_choose_the_epoch(table):
    rows, grades = table
    fitted = small("cross_entropy", validation_fraction=0, epochs=5).fit(rows, grades)
    loss = log_loss(grades, fitted.predict_proba(rows))
    assert fitted.history_[fitted.best_epoch_ - 1]["val_loss"] == pytest.approx(loss, rel=1e-5)


def test_a_fitted_decision_survives_pickling(table):
    rows, grades = table
    fitted = small("thresholded_regression", rule="native").fit(rows, grades)
    assert len(fitted.decision_) > 0
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(rows), fitted.predict(rows))


def test_it_takes_its_place_in_pipelines_and_searches(table):
    rows, grades = table
    search = GridSearchCV(
        make_pipeline(StandardScaler(), small(epochs=2)),
        {"ordinalclassifier__learning_rate": np.array([1e-6, 0.05])},
        scoring="neg_mean_absolute_error",
        cv=2,
        error_score="raise",
    ).fit(pd.DataFrame(rows, columns=["a", "b", "c"]), grades)
    assert search.best_params_ == {"ordinalclassifier__learning_rate": 0.05}


def test_a_network_and_a_loss_of_ones_own_are_named_by_their_files(table, tmp_path, monkeypatch):
    rows, grades = table
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_net.py").write_text(NETWORK)
    (tmp_path / "my_losses.py").write_text(LOSS)
    own = small("my_losses.py:distance", network="my_net.py:Net", network_options={"width": 16}, epochs=40, patience=0)
    fitted = own.fit(rows, grades)
    assert fitted.variables_["params"]["grade_head"]["kernel"].shape == (16, 4)
    assert fitted.score(rows, grades) > 0.7
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(rows), fitted.predict_proba(rows))
    assert clone(fitted).get_params() == fitted.get_params()


def test_without_scikit_learn_one_line_says_which_extra_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.delitem(sys.modules, "ordinal_blast.sklearn")
    with pytest.raises(ImportError, match=r"^sklearn[.\w]* is not installed: pip install 'ordinal-blast\[sklearn\]'$"):
        importlib.import_module("ordinal_blast.sklearn")
