"""The stage that grades: one network, with a head for each task, trained by the objective of the study."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ordinal_blast import objectives, parts, settings
from ordinal_blast.data import augment
from ordinal_blast.data.batches import Examples, View, fixed, of_rows
from ordinal_blast.errors import UsageError, UserError, one_line
from ordinal_blast.evaluation import metrics
from ordinal_blast.evaluation.evidence import GRADES
from ordinal_blast.models import networks
from ordinal_blast.models.heads import GradingNetwork, count_parameters
from ordinal_blast.objectives import Objective
from ordinal_blast.record import Record
from ordinal_blast.settings import GraderSettings
from ordinal_blast.study import decisions, familiarity, identity, votes
from ordinal_blast.study.recipe import About, Goal, Graded, Stage, Traced, Values, Work
from ordinal_blast.training import initial, loop, optimizer, parallel, step
from ordinal_blast.training.course import Course, Fitted, updates
from ordinal_blast.training.journal import Journal
from ordinal_blast.training.problem import GradingCounts, GradingLoss, OnInputs, Problem
from ordinal_blast.training.selection import HIGHER, LOWER, Monitor, check_selection
from ordinal_blast.types import AXIS, RATERS

MEASURES = {"val_qwk": HIGHER, "val_mae": LOWER, "val_rmse": LOWER}  # of every epoch
_CHUNK = 128  # new examples in one call of the network
_SMALL = 2**16  # bytes of inputs that one call takes, even where those of a batch are fewer


@dataclasses.dataclass(frozen=True)
class Features:
    """What the heads of a trained grader read."""

    network: GradingNetwork
    variables: Mapping[str, Any]
    devices: tuple[jax.Device, ...]

    def extract(self, inputs: Callable[[np.ndarray], np.ndarray], count: int, at_once: int = _CHUNK) -> np.ndarray:
        """Features float32 `[count, D]`; inputs(indices) gives the network's inputs of these, so many at once."""
        variables = {collection: {"network": values} for collection, values in self.variables.items()}
        problem = Problem(_Features(self.network))
        outputs = parallel.predict(problem, variables, inputs, count, at_once, self.devices)
        return np.asarray(outputs["features"], np.float32)


class _Trained(NamedTuple):
    """The examples of each split, as the network reads them; the view of all, the facts of that, and the network."""

    examples: Mapping[str, Examples]
    view: View
    facts: Mapping[str, Any]
    fitted: Fitted
    together: int


class LayerByLayer(NamedTuple):
    """A trained network whose layers can be observed.

    versions: by name in order of training, the epoch and the variables then. deciding: the objective of each task.
    notes: what of its training is not known.
    """

    model: GradingNetwork
    versions: Mapping[str, tuple[int, Any]]
    deciding: Mapping[str, Objective]
    notes: tuple[str, ...]


class _Begun(NamedTuple):
    """The examples of each split as the network reads them, the view of all, the facts of that, and the training."""

    examples: Mapping[str, Examples]
    view: View
    facts: Mapping[str, Any]
    course: Course


class _Features(nn.Module):
    """What the heads of a network read, under "features"."""

    network: GradingNetwork

    def __call__(self, x: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        return {"features": self.network.features(x)}


class Grader(Stage[GraderSettings]):
    """Trains a network on images, sequences or numbers; makes its features for later stages."""

    Settings: ClassVar[type[GraderSettings]] = GraderSettings

    @property
    def reads(self) -> tuple[str, ...]:
        """One of the inputs of networks: as the settings say, or the network declares, or else images."""
        return (self.settings.reads or networks.reads(self.settings.network) or "images",)

    @property
    def makes(self) -> tuple[str, ...]:
        """What the heads read."""
        return ("features",)

    def depends(self, work: Work) -> Mapping[str, Any]:
        """The objective and its text, the tasks, the class weights, the seed, and the weights that it starts from."""
        start = self.settings.network.init_from
        return {
            "tasks": [task.name for task in work.material.tasks],
            "objective": [work.goal.objective.name, dict(work.goal.objective.options)],
            "class_weights": work.goal.class_weights,
            **_unusual(work.goal),
            "seed": work.goal.seed,
            "code": identity.of_stage(self.settings, work.goal.objective.name),
            **({"init_from": initial.digest(start)} if start else {}),
        }

    def validate(self) -> None:
        """Raise UsageError for a network, an optimiser, a schedule or a view that cannot be."""
        self._problem({})
        (name,) = self.reads
        check_selection(self.settings.training.select, MEASURES)
        if self.settings.standardize and name != "numbers":
            raise UsageError(
                f"{self.name}.standardize is for numbers, and {self.name} reads {name}: leave it out, or set "
                f"{self.name}.reads"
            )

    def check(self, work: Work) -> None:
        """Raise UsageError for a batch, a task or a network that does not fit the data."""
        training, (name,) = self.settings.training, self.reads
        problem = self._problem(work.bound)
        count = len(work.material.splits["train"])
        if training.batch_size > count:
            raise UsageError(
                f"{self.name}.training.batch_size is {training.batch_size}, and there are {count} training examples: "
                "take a smaller batch"
            )
        if training.balance and training.balance not in work.bound:
            tasks = ", ".join(work.bound)
            raise UsageError(f"{self.name}.training.balance is {training.balance}: the tasks are {tasks}")
        columns = work.material.dataset.columns
        first = np.asarray(columns[name][np.arange(1)]) if name in columns else None
        try:
            updates(problem, _examples(fixed(first), work)["train"], training)
        except UsageError as error:
            raise UsageError(f"{self.name}.{one_line(error)}") from error
        votes.check(work)
        coupled = [one.name for one in work.bound.values() if one.spec.batch_coupled]
        if coupled and work.goal.divide_by == "examples":
            raise UsageError(
                f"divide_by is examples, and {coupled[0]} is a loss of the batch as a whole: leave it at weights"
            )
        start = self.settings.network
        if first is not None:
            network = f"{self.name}.network {self.settings.network.name} on {name} {first.shape[1:]}"
            try:
                with parts.blamed("it raises"):
                    backbone = self._network({}).backbone
                    shapes = _try(backbone, problem.augment, (2, *first.shape[1:]), first.dtype.name)
                    if start.init_from:
                        initial.variables(start, shapes)
            except UserError as error:
                raise type(error)(f"{network}: {one_line(error)}") from error

    def side_by_side(self, work: Work, asked: bool) -> bool:
        """Whether the network reads numbers, or sequences and no CPU works (unless asked): others fill a device alone.

        On two cores four LSTMs at once took 1.3 times as long as one by one, and convolutions are slower too. A module
        of one's own may draw by devices, of which a training beside others has one.
        """
        devices = work.session.devices
        pays = self.reads == ("numbers",) or (self.reads == ("sequences",) and (asked or devices[0].platform != "cpu"))
        return pays and (len(devices) == 1 or not parts.is_outside(self.settings.network.name))

    def course(self, inputs: Mapping[str, Any], folder: Path, work: Work) -> Course:
        """The training in `folder`."""
        return self._begin(inputs, folder, work).course

    def build(self, inputs: Mapping[str, Any], folder: Path, work: Work) -> Mapping[str, Any]:
        """Train in `folder`, or read what was trained there."""
        trained = self._trained(inputs, folder, work)
        features = Features(self._network(work.bound), trained.fitted.variables, work.session.devices)
        familiarity.keep(folder, trained.examples, features.extract, self.settings.training.batch_size)
        return {**trained.facts, "seconds": trained.fitted.seconds, "best_epoch": trained.fitted.best_epoch}

    def open(self, inputs: Mapping[str, Any], folder: Path, work: Work) -> Mapping[str, Any]:
        """The features of the trained network."""
        variables = self._trained(inputs, folder, work).fitted.variables
        return {"features": Features(self._network(work.bound), variables, work.session.devices)}

    def grade(self, inputs: Mapping[str, Any], folder: Path, work: Work) -> Graded:
        """Raw outputs of the network for every split."""
        examples, view, _, fitted, together = self._trained(inputs, folder, work)
        every = of_rows(view, np.concatenate([*work.material.splits.values()]))
        first, ends = every(np.arange(1), None)[0], np.cumsum([len(part) for part in examples.values()])
        said = parallel.predict(
            self._problem(work.bound),
            fitted.variables,
            lambda indices: every(indices, None),
            ends[-1],
            max(self.settings.training.batch_size, _SMALL // max(first.nbytes, 1)),
            work.session.devices,
        )
        parts = {task: np.split(outputs, ends[:-1]) for task, outputs in said.items()}
        outputs = {split: {task: parts[task][n] for task in parts} for n, split in enumerate(examples)}
        training = {
            "model": self.name,
            "epochs": len(fitted.history),
            "best_epoch": fitted.best_epoch,
            "parameters": count_parameters(fitted.variables)[0],
            "seconds": round(fitted.seconds, 3),
            "peak_mb": round(parallel.peak_memory(work.session.devices), 1),
            "history": list(fitted.history),
            **({"side_by_side": together} if together > 1 else {}),
        }
        return Graded(examples, outputs, training, first.shape, first.dtype.name)

    def restore(self, folder: Path, record: Record) -> Callable[[Values], Values]:
        """Grades new examples: adds "graded", predictions of each task, and "features"."""
        problem, variables, deciding, rule = self._restored(folder, record)
        network, (name,), devices = self._network({}), self.reads, tuple(jax.local_devices()[:1])

        def apply(values: Values) -> Values:
            if name not in values:
                return values
            x = _standardize(np.asarray(values[name]), record.stages.get(self.name, {}))
            outputs = parallel.predict(problem, variables, x.__getitem__, len(x), _CHUNK, devices)
            graded = {task: decisions.decide(one, rule, outputs[task]) for task, one in deciding.items()}
            features = Features(network, variables, devices)
            return {**values, "features": features, "graded": graded, "grader": self.name}

        return apply

    def about(self, values: Values, folder: Path, record: Record) -> list[About]:
        """How like its training examples what it graded is, and how sharp an image; that alone where others grade."""
        if self.reads[0] not in values:
            return []
        x = _standardize(np.asarray(values[self.reads[0]]), record.stages.get(self.name, {}))
        return familiarity.about(folder, x, values["features"].extract if values["grader"] == self.name else None)

    def traced(self, folder: Path, record: Record) -> Traced:
        """The same as `restore`, and "features" is a function of traced inputs."""
        problem, variables, deciding, rule = self._restored(folder, record)
        network, (name,), model = problem.model, self.reads, record.models[self.name]
        facts = record.stages.get(self.name, {})

        def apply(variables: Mapping[str, Any], values: Values) -> Values:
            outputs = step.eval_step(variables, _standardize_traced(values[name], facts), problem)
            graded = {task: decisions.traced(one, rule, outputs[task]) for task, one in deciding.items()}
            features = functools.partial(network.apply, variables, method="features")
            return {**values, "features": features, "graded": graded, "grader": self.name}

        shape = ", ".join(map(str, ("b", *model.inputs)))
        return Traced(variables, apply, {name: (shape, model.dtype)})

    def layers(self, folder: Path, record: Record) -> LayerByLayer:
        """The trained network as its layers show themselves, and how it was before and after the epoch selected."""
        problem, best, deciding, _ = self._restored(folder, record)
        chosen, model = settings.resolve(record.settings, str(folder)), record.models[self.name]
        backbone = networks.make(self.settings.network, f"{self.name}.network")
        if "inference" in {field.name for field in dataclasses.fields(backbone)}:
            backbone = backbone.clone(inference="layers")
        network = GradingNetwork(backbone, problem.model.heads)
        start, notes = self.settings.network, []
        like = np.zeros((1, *model.inputs), model.dtype)
        state = step.create(problem, like, chosen.seed, 1)
        begun: Any = step.variables(state, problem)
        journal = Journal(folder)
        last, _ = journal.restore(state, begun)
        journal.close()
        if start.init_from:
            begun = None
            notes.append(f"it began with the weights of {start.init_from}, which are not shown")
        epochs = {"before training": 0, GRADES: model.training["best_epoch"], "last": model.training["epochs"]}
        versions = {"before training": begun, GRADES: best, "last": step.variables(last, problem)}
        if epochs["last"] == epochs[GRADES]:
            del versions["last"]
        notes.append("of the epochs between, a run keeps the selected one and the last")
        kept = {name: (epochs[name], one) for name, one in versions.items() if one is not None}
        return LayerByLayer(network, kept, deciding, tuple(notes))

    def _restored(self, folder: Path, record: Record) -> tuple[Problem, Any, Mapping[str, Objective], str]:
        """The problem, the variables, the objectives that decide, and by which rule."""
        model, objective = record.models[self.name], settings.resolve(record.settings, str(folder)).objective
        bound = decisions.bind(objective, record.tasks, model.fitted)
        problem = self._problem(bound)
        deciding = decisions.calibrated(decisions.corrected(bound, record.objective["undone_weights"]), model.fitted)
        variables = loop.restore(problem, np.zeros((1, *model.inputs), model.dtype), folder)
        return problem, variables, deciding, objective.rule

    def _network(self, bound: Mapping[str, Objective]) -> GradingNetwork:
        return GradingNetwork(networks.make(self.settings.network, f"{self.name}.network"), tuple(bound.items()))

    def _problem(self, bound: Mapping[str, Objective], divide_by: str = "weights") -> Problem:
        section, where = self.settings, self.name
        view = augment.make(section.augment, f"{where}.augment")
        return Problem(
            self._network(bound),
            GradingLoss(tuple(bound.items()), divide_by),
            optimizer.make(section.optimizer, section.schedule, section.training, where),
            OnInputs(view) if view else None,
        )

    def _view(self, inputs: Mapping[str, Any], work: Work) -> tuple[View, Mapping[str, Any]]:
        """The view of all rows of the data set that it reads, standardised where asked for, and the facts of that."""
        view = inputs[self.reads[0]]
        if not self.settings.standardize:
            return view, {}
        numbers = view(np.arange(len(work.material.dataset)), None)
        train = numbers[work.material.splits["train"]]
        mean, spread = train.mean(axis=0, dtype=np.float64), train.std(axis=0, dtype=np.float64)
        facts = {"standardized": {"mean": mean.tolist(), "sd": np.where(spread > 0, spread, 1.0).tolist()}}
        return fixed(_standardize(numbers, facts)), facts

    def _trained(self, inputs: Mapping[str, Any], folder: Path, work: Work) -> _Trained:
        """Train to the end in `folder`; once in the life of this stage, later calls have it at hand."""
        if self._at_hand is None:
            begun = self._begin(inputs, folder, work)
            fitted = loop.finish(begun.course, work.session.devices)
            self._at_hand = _Trained(begun.examples, begun.view, begun.facts, fitted, begun.course.together)
        return self._at_hand

    def _begin(self, inputs: Mapping[str, Any], folder: Path, work: Work) -> _Begun:
        """The training in `folder`, from its last checkpoint; once in the life of this stage."""
        if self._begun is None:
            view, facts = self._view(inputs, work)
            examples, goal = _examples(view, work), work.goal
            start = self.settings.network
            learnt = votes.taught(examples, work)
            training = Course(
                self._problem(work.bound, goal.divide_by),
                learnt["train"],
                learnt["val"],
                self.settings.training,
                seed=goal.seed,
                directory=folder,
                name=f"{goal.objective.name}, seed {goal.seed}, {self.name}",
                monitor=Monitor(MEASURES, _measure, GradingCounts(tuple(work.bound.items()))),
                report=work.session.progress.epoch(self.name),
                initial=functools.partial(initial.variables, start) if start.init_from else None,
            )
            self._begun = _Begun(examples, view, facts, training)
        return self._begun

    _begun: _Begun | None = None
    _at_hand: _Trained | None = None


def _unusual(goal: Goal) -> dict[str, Any]:
    """What else a training depends on, where it is not at its default: a setting that is new renames no stage."""
    known = {
        "divide_by": (goal.divide_by, "weights"),
        "adjust_loss": (goal.objective.adjust_loss, 0.0),
        "learns_from": (goal.learns_from, "labels"),
    }
    return {name: value for name, (value, default) in known.items() if value != default}


def _examples(view: View, work: Work) -> dict[str, Examples]:
    """Inputs, labels and weights of each split; class weights come from the training set alone.

    Columns of one value an example travel along, and grades by several raters where a split has some.
    """
    material = work.material
    columns = material.dataset.columns
    weight = {task.name: decisions.class_weights(work.goal.class_weights, material, task) for task in material.tasks}
    travelling = [
        name
        for name, column in columns.items()
        if isinstance(column, np.ndarray) and column.ndim == 1 and name != "id" and "/" not in name
    ]
    raters = [name for name, column in columns.items() if name.startswith(RATERS) and column.ndim == 2]
    examples = {}
    for split, rows in material.splits.items():
        labels = {task: columns[f"label/{task}"][rows].astype(np.int32) for task in weight}
        weights = {task: weight[task][values.clip(0)] * (values >= 0) for task, values in labels.items()}
        extras = {name: columns[name][rows] for name in travelling}
        extras |= {name: graded for name in raters if (graded := columns[name][rows]).max(initial=-1) >= 0}
        examples[split] = Examples(columns["id"][rows], of_rows(view, rows), labels, weights, extras)
    return examples


def _standardize(numbers: np.ndarray, facts: Mapping[str, Any]) -> np.ndarray:
    """Numbers float32 `[N, D]` as the network reads them, by the facts of its run."""
    if "standardized" not in facts:
        return numbers
    by = facts["standardized"]
    return ((numbers - np.asarray(by["mean"])) / np.asarray(by["sd"])).astype(np.float32)


def _standardize_traced(numbers: jax.Array, facts: Mapping[str, Any]) -> jax.Array:
    """The same in float32: the mean is taken off in two parts, so that no digit of a far one is lost."""
    if "standardized" not in facts:
        return numbers
    mean, spread = (np.asarray(facts["standardized"][key], np.float64)[None] for key in ("mean", "sd"))
    most = mean.astype(np.float32)
    return (numbers - most - (mean - most).astype(np.float32)) / spread.astype(np.float32)


def _measure(counts: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The mean over tasks of QWK, MAE and RMSE, of counts `[K, K]`."""
    measures = {"val_qwk": metrics.qwk, "val_mae": metrics.mae, "val_rmse": metrics.rmse}
    return {
        key: float(np.mean([measure.of_counts(of_task) for of_task in counts.values()]))
        for key, measure in measures.items()
    }


@functools.lru_cache(maxsize=32)
def _try(backbone: nn.Module, view: OnInputs | None, shape: tuple[int, ...], dtype: str) -> dict[str, dict[str, Any]]:
    """Trace a network, with a head, at rest and in a step of training, and its view before that: its variables' shapes.

    Raises what they raise, and UsageError for features that no head can read.
    """
    model = GradingNetwork(backbone, (("any", objectives.get("cross_entropy", num_classes=2)),))

    def both(x: jax.Array, key: jax.Array) -> None:
        keys = jax.random.split(key, len(x))
        variables = model.init(key, x, train=False)
        step.check_variables(variables)
        seen = view(keys, x, {})[0] if view else x
        model.apply(variables, seen, train=True, keys=keys, rngs=step.streams(key), mutable=["batch_stats"])

    inputs, keys = jnp.zeros((1, *shape), dtype), jax.random.split(jax.random.key(0), 1)  # of one device
    jax.eval_shape(jax.vmap(both, axis_name=AXIS), inputs, keys)
    return jax.eval_shape(lambda: model.init(keys[0], inputs[0], train=False))
