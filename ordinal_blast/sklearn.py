"""The objectives as a classifier of scikit-learn, for tables and for features from elsewhere.

    OrdinalClassifier("corn").fit(X, y).predict(X)

It stands in for any classifier in pipelines, searches and cross-validation. With `n_jobs` every worker process starts
JAX and compiles for itself, which pays for long fits only. joblib's own workers ("loky") are safe; a process that was
forked after JAX has run in it may hang.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Self

from ordinal_blast.errors import UsageError, needs

with needs("sklearn"):
    import jax
    import numpy as np
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.preprocessing import StandardScaler
    from sklearn.utils import check_random_state
    from sklearn.utils.class_weight import compute_sample_weight
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

    from ordinal_blast import schema
    from ordinal_blast.data.batches import Examples, fixed
    from ordinal_blast.data.splits import split_off_groups
    from ordinal_blast.models import networks
    from ordinal_blast.models.heads import GradingNetwork
    from ordinal_blast.objectives import Objective
    from ordinal_blast.ranges import check, number
    from ordinal_blast.schema import S
    from ordinal_blast.settings import (
        NetworkSettings,
        ObjectiveSettings,
        OptimizerSettings,
        ScheduleSettings,
        TrainingSettings,
    )
    from ordinal_blast.study import decisions
    from ordinal_blast.training import loop, optimizer, parallel
    from ordinal_blast.training.optimizer import Optimizer
    from ordinal_blast.training.problem import GradingLoss, Problem
    from ordinal_blast.training.selection import Line
    from ordinal_blast.types import Predictions, Task

_TASK = "grade"
_STEPS = 100  # of one call to the device in training
_ROWS = 256  # of one call in prediction, always: the numbers of a row do not depend on its company
_SMALL = {"widths": (64, 64), "activation": "relu", "dropout": 0.1, "batch_norm": False}  # as in configs/era.py


class OrdinalClassifier(ClassifierMixin, BaseEstimator):
    """Grades rows of numbers with a network that learns an ordinal objective.

    The order of grades, worst first, is `classes` where it is given; else the categories of an ordered pandas
    Categorical; else sorted, as scikit-learn does, which for names is the order of the alphabet, with a warning. Where
    scikit-learn itself replaces names by numbers (`cross_val_predict` of probabilities, voting, stacking) that order is
    lost: give grades as numbers there.

    objective, objective_options: a name of `objectives.names()`, or a loss of your own as "file.py:loss".
    rule: the decision. "mode", the most probable grade, is what scikit-learn expects of a classifier; "median" suits
        absolute errors, "mean" squared ones, and "native" is the loss's own. Another needs no second fit.
    network, network_options: "mlp" (two layers of 64 unless the options say otherwise), or a module of your own, as
        "file.py:Net", that takes float32 `[N, D]`.
    optimizer, learning_rate, optimizer_options, schedule, schedule_options: as `ordinal-blast settings` has them.
    epochs, batch_size: at most so many epochs, of batches of so many rows.
    validation_fraction: of the rows, of every grade alike, whose loss chooses the epoch; 0: the training rows choose.
    patience: epochs without a smaller validation loss after which training stops; 0: never.
    ema: decay of the moving average of the weights that is evaluated; 0: none.
    class_weight: None, "balanced", or a weight for each grade; multiplied into `sample_weight`.
    standardize: columns less their mean, over their s.d.
    random_state: of initial weights, validation rows, the order of rows, and dropout.
    verbose: print a line an epoch.

    Rows that are alike, grade included, are trained on as one with the sum of their weights, so that a weight of 2 is
    that row twice; rows of the same numbers are all trained on, or all kept apart.

    Fitted: grades_ (worst first), classes_ (the same, sorted), n_features_in_, feature_names_in_, n_iter_ (epochs),
    best_epoch_, history_ (a mapping an epoch).
    """

    def __init__(
        self,
        objective: str = "corn",
        objective_options: Mapping[str, Any] | None = None,
        rule: str = "mode",
        network: str = "mlp",
        network_options: Mapping[str, Any] | None = None,
        optimizer: str = "adam",
        learning_rate: float = 1e-3,
        optimizer_options: Mapping[str, Any] | None = None,
        schedule: str = "constant",
        schedule_options: Mapping[str, Any] | None = None,
        epochs: int = 100,
        batch_size: int = 32,
        validation_fraction: float = 0.1,
        patience: int = 20,
        ema: float = 0.0,
        class_weight: str | Mapping[Any, float] | None = None,
        classes: Sequence[Any] | None = None,
        standardize: bool = True,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ) -> None:
        self.objective = objective
        self.objective_options = objective_options
        self.rule = rule
        self.network = network
        self.network_options = network_options
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.optimizer_options = optimizer_options
        self.schedule = schedule
        self.schedule_options = schedule_options
        self.epochs = epochs
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.ema = ema
        self.class_weight = class_weight
        self.classes = classes
        self.standardize = standardize
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from rows `[N, D]`, their grades `[N]` and what each row counts, `[N]`.

        Raises ValueError for data that cannot be, a grade that is not in `classes`, and a single grade; UsageError for
        a parameter that cannot be.
        """
        order = _order(y) if self.classes is None else self.classes
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        weights = _weights(sample_weight, X)
        X, y, weights = X[weights > 0], y[weights > 0], weights[weights > 0]
        self.grades_ = np.unique(y) if order is None else np.asarray(order)
        if order is None and len(self.grades_) > 2 and any(isinstance(grade, str) for grade in self.grades_.tolist()):
            names = ", ".join(map(str, self.grades_))
            warnings.warn(f"grades are taken in the order of the alphabet, {names}: state it as classes", stacklevel=2)
        self.classes_ = np.unique(self.grades_)
        weights = _counting(weights * compute_sample_weight(self.class_weight, y), "class_weight")
        X, labels, weights = _merged(X, _places(y, self.grades_), weights)
        scale = StandardScaler(with_mean=self.standardize, with_std=self.standardize)
        self.scaler_ = scale.fit(X, sample_weight=weights)
        numbers = self.scaler_.transform(X).astype(np.float32)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        objective = self._objective()
        train, val = _divided(X, labels, self.validation_fraction, seed)
        fitted = loop.fit(
            Problem(self._network(objective), GradingLoss(((_TASK, objective),)), self._optimizer()),
            _examples(numbers, labels, weights, train),
            _examples(numbers, labels, weights, val),
            self._training(),
            seed=seed,
            directory=None,
            devices=_devices(),
            name=type(self).__name__,
            report=_tell if self.verbose else _keep_quiet,
        )
        self.variables_ = jax.device_get(fitted.variables)
        self.history_, self.n_iter_, self.best_epoch_ = list(fitted.history), len(fitted.history), fitted.best_epoch
        outputs = self._outputs(numbers[train])[: len(train)]
        self.decision_ = objective.fit(outputs, labels[train], weights[train]).fitted
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The decided grade of each row, `[N]`."""
        places = self._graded(X).grades
        return self.grades_[places]

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each grade, float64 `[N, K]`, in the order of `classes_`."""
        probs = self._graded(X).probs
        return (probs / probs.sum(axis=1, keepdims=True))[:, np.argsort(self.grades_)]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of rows, or of their weights `[N]`, whose grade is decided as y has it; ValueError as `fit`."""
        return float(super().score(X, y, None if sample_weight is None else _weights(sample_weight, X)))

    def ranking_score(self, X: Any) -> np.ndarray:
        """One number a row that rises with its expected grade, `[N]`: for ROC curves of "grade > k"."""
        return self._graded(X).scores

    def _graded(self, X: Any) -> Predictions:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        outputs = self._outputs(self.scaler_.transform(X).astype(np.float32))
        graded = decisions.decide(self._objective({_TASK: self.decision_}), self.rule, outputs)
        return Predictions(*(array[: len(X)] for array in graded))

    def _outputs(self, numbers: np.ndarray) -> np.ndarray:
        """Raw outputs of the rows, and of copies of the last one that fill the last call."""
        last = len(numbers) - 1
        return parallel.predict(
            Problem(self._network(self._objective())),
            self.variables_,
            lambda rows: numbers[np.minimum(rows, last)],
            (last // _ROWS + 1) * _ROWS,
            _ROWS,
            _devices(),
        )[_TASK]

    def _objective(self, fitted: Mapping[str, Mapping[str, Any]] | None = None) -> Objective:
        stated = {"name": self.objective, "options": self.objective_options or {}, "rule": self.rule}
        section = _section("objective", ObjectiveSettings(), **stated)
        decisions.validate(section)
        task = Task(_TASK, tuple(map(str, range(len(self.grades_)))))
        return decisions.bind(section, (task,), fitted)[_TASK]

    def _network(self, objective: Objective) -> GradingNetwork:
        options = {**(_SMALL if self.network == "mlp" else {}), **(self.network_options or {})}
        network = _section("network", NetworkSettings(), name=self.network, options=options)
        if networks.reads(network) not in ("", "numbers"):
            raise UsageError(f"network {self.network} reads {networks.reads(network)}: name one that reads numbers")
        return GradingNetwork(networks.make(network, "network"), ((_TASK, objective),))

    def _optimizer(self) -> Optimizer:
        stated = {
            "name": self.optimizer,
            "learning_rate": self.learning_rate,
            "options": self.optimizer_options or {},
        }
        return optimizer.make(
            _section("optimizer", OptimizerSettings(), **stated),
            _section("schedule", ScheduleSettings(), name=self.schedule, options=self.schedule_options or {}),
            self._training(),
            type(self).__name__,
        )

    def _training(self) -> TrainingSettings:
        return _section(
            "training",
            TrainingSettings(steps_per_dispatch=_STEPS, threads=0),
            batch_size=self.batch_size,
            epochs=self.epochs,
            patience=self.patience,
            ema=self.ema,
        )


def _section(key: str, section: S, /, **stated: Any) -> S:
    """The section of settings with what is stated, checked as a configuration file's is."""
    return schema.replaced(section, section, stated, key, texts=False)


def _order(y: Any) -> Sequence[Any] | None:
    """The grades of an ordered Categorical of pandas, worst first; None for anything else."""
    dtype: Any = getattr(y, "dtype", None)
    return dtype.categories if getattr(dtype, "ordered", False) else None


def _places(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The place of each grade in `classes`, int `[N]`; ValueError for one that is not there, and for a single one."""
    place = {grade: k for k, grade in enumerate(classes.tolist())}
    if len(place) < len(classes):
        raise ValueError(f"classes has a grade twice: {classes.tolist()}")
    if unknown := sorted(set(y.tolist()) - place.keys(), key=str):
        raise ValueError(f"y has {unknown[0]!r}, which is not in classes {classes.tolist()}")
    if len(np.unique(y)) < 2:
        raise ValueError(f"y has 1 class where it counts, {y.tolist()[0]!r}: two or more are needed")
    return np.asarray([place[grade] for grade in y.tolist()])


def _weights(sample_weight: Any, X: np.ndarray) -> np.ndarray:
    """What each row counts, float64 `[N]`; ValueError for one that is negative or missing, and where all are zero."""
    return _counting(_check_sample_weight(sample_weight, X, dtype=np.float64), "sample_weight")


def _counting(weights: np.ndarray, name: str) -> np.ndarray:
    if np.any(weights < 0):
        raise ValueError(f"{name} has a negative value")
    if not np.any(weights > 0):
        raise ValueError(f"{name} is zero for every row: some have to count")
    return weights


def _merged(X: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows that are alike as one, of the sum of their weights, in an order that does not depend on that of the rows."""
    rows, where = np.unique(np.column_stack([X, labels]), axis=0, return_inverse=True)
    return rows[:, :-1], rows[:, -1].astype(int), np.bincount(where.reshape(-1), weights)


def _divided(X: np.ndarray, labels: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on, and rows that choose the epoch: a share of every grade, or all rows where that is none.

    Rows of the same numbers are never divided: what is kept apart would else be missing from what they teach.
    """
    check("validation_fraction", share, number(least=0, below=1))
    groups = np.unique(X, axis=0, return_inverse=True)[1].reshape(-1)
    if (groups.max() + 1) * share < 0.5:
        return np.arange(len(labels)), np.arange(len(labels))
    return split_off_groups(groups, labels, share, (seed,))


def _examples(numbers: np.ndarray, labels: np.ndarray, weights: np.ndarray, rows: np.ndarray) -> Examples:
    return Examples(
        ids=rows.astype(str),
        view=fixed(numbers[rows]),
        labels={_TASK: labels[rows]},
        weights={_TASK: weights[rows].astype(np.float32)},
    )


def _devices() -> tuple[jax.Device, ...]:
    """One: more would wait for each other over tables."""
    return tuple(jax.local_devices()[:1])


def _tell(epoch: int, epochs: int, line: Line) -> None:
    print(f"epoch {epoch} of {epochs}: training loss {line['train_loss']:.4f}, validation loss {line['val_loss']:.4f}")


def _keep_quiet(epoch: int, epochs: int, line: Line) -> None:
    del epoch, epochs, line
