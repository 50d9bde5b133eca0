"""What the network of a finished cell sees in an image: its layers, how training moved them, where evidence lies."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ordinal_blast import settings
from ordinal_blast.errors import UsageError
from ordinal_blast.evaluation import evidence
from ordinal_blast.evaluation.evidence import GRADES, Concentration, Insight, Moment
from ordinal_blast.models import edges, feature_maps
from ordinal_blast.settings import Settings
from ordinal_blast.study import grade_sets, grading, shown
from ordinal_blast.study.grader import Grader, LayerByLayer
from ordinal_blast.study.grading import Asked, Opened, Run
from ordinal_blast.training import compilation
from ordinal_blast.types import INPUTS

OF = ("grade", "expected")
_BATCH = 32  # test examples at once


def explain(
    cell: Path,
    path: Path,
    *,
    of: str = "grade",
    layer: int = 0,
    level: float = 0.9,
    tested: int = 0,
    trust: Path | None = None,
) -> Insight:
    """What the network of images of a finished cell sees in a file that `grade` takes.

    of: what the evidence is for, the log-probability of the "grade" that was decided, or the "expected" grade, Σ k p_k.
    layer: the feature map that it is read from, counted from 1 at the pixels, 0 for the last. tested: over so many test
    examples of the run it is measured how much of the evidence lies in the region of what is graded; their data have to
    be there. Raises UsageError for a run whose networks have no feature maps, and as `grade` does.
    """
    if tested < 0:
        raise UsageError(f"--test is {tested}: give the number of test examples, 0 for none")
    if of not in OF:
        raise UsageError(f"--of is {of}: it is one of {', '.join(OF)}")
    grade_sets.check_level(level)
    compilation.keep(Settings().compiled)
    with grading.restored_run(cell, trust) as opened:
        name = _name(opened)
        run = opened.until(name)
        values = run.values(path)
        if len(values["names"]) > 1 or "images" not in values:
            raise UsageError(f"{path} is no image that the network {name} of {cell} reads: give one")
        one = run.stages[-1]
        network = one.stage.layers(one.folder, run.record)  # type: ignore[attr-defined]
        images = np.asarray(values["images"])
        maps, at = _maps(network, images, f"{name}, {one.stage.settings.network.name},", layer)  # type: ignore[attr-defined]
        grades = {task: said.grades for task, said in values["graded"].items()}
        seen = images
        for restored in run.stages[:-1]:
            seen = restored.stage.show(seen) if "images" in restored.stage.makes else seen
        picture = seen[0, ..., 0] if seen.shape[-1] != 3 else seen[0]
        known = [restored.stage.region(values) for restored in run.stages[:-1]]
        regions = [region for region in known if region is not None]
        return Insight(
            name=str(path),
            cell=run.record.cell,
            model=name,
            lines=Asked([run], level).lines([values]),
            seen=picture,
            shape=images.shape[1:],
            edges={key: np.asarray(find(jnp.asarray(_grey(picture)))) for key, find in edges.FILTERS.items()},
            maps=maps,
            moments=_moments(network, images, at, grades, of),
            of=of,
            layer=at,
            region=regions[-1][0] if regions else None,
            tested=_tested(run, network, at, of, tested) if tested else {},
            notes=network.notes,
        )


def _name(run: Run) -> str:
    """The grader whose network reads images; raises UsageError where there is none."""
    names = [one.stage.name for one in run.stages if isinstance(one.stage, Grader) and one.stage.reads == ("images",)]
    if not names:
        reads = sorted({name for one in run.stages for name in one.stage.reads if name in INPUTS})
        raise UsageError(
            f"{run.record.cell} has no network of images, which alone has feature maps to show: it reads "
            f"{', '.join(reads)}"
        )
    return names[-1]


def _maps(network: LayerByLayer, images: np.ndarray, name: str, layer: int) -> tuple[dict[str, np.ndarray], str]:
    """The feature maps `[h, w, C]` of one image by path, and the path of one of them."""
    _, variables = network.versions[GRADES]
    _, maps = jax.jit(functools.partial(feature_maps.observed, network.model))(variables, images)
    paths = _order(network, variables, images)
    if not paths:
        raise UsageError(
            f"the network of {name} shows no feature maps: explain reads Linen modules that have modules with "
            "outputs [B, h, w, C], such as the layers of a convolutional network"
        )
    if not 0 <= layer <= len(paths):
        raise UsageError(f"--layer is {layer}: the network has feature maps 1 to {len(paths)}; 0 is the last")
    return {path: np.asarray(maps[path][0], np.float32) for path in paths}, paths[layer - 1]


def _order(network: LayerByLayer, variables: Mapping[str, Any], images: np.ndarray) -> list[str]:
    """The paths of feature maps in the order of their computation, which compiled outputs have lost."""
    order: list[str] = []

    def trace() -> None:
        order.extend(feature_maps.observed(network.model, variables, jnp.asarray(images))[1])

    jax.eval_shape(trace)
    return order


def _moments(
    network: LayerByLayer, images: np.ndarray, layer: str, grades: Mapping[str, np.ndarray], of: str
) -> list[Moment]:
    """The network before training, as it grades and as training left it; its evidence for the same grades each time."""
    first = next(iter(network.versions.values()))[1] if "before training" in network.versions else None
    find = _finder(network, layer, of)
    kernel = functools.partial(feature_maps.first_kernel, network.model)
    moments = []
    for name, (epoch, variables) in network.versions.items():
        filters = kernel(variables, jnp.asarray(images))
        moments.append(
            Moment(
                name,
                epoch,
                None if filters is None else np.asarray(filters),
                {task: np.asarray(one)[0] for task, one in find(variables, images, grades).items()},
                {} if first is None else _moved(variables["params"], first["params"]),
            )
        )
    return moments


def _moved(params: Mapping[str, Any], first: Mapping[str, Any]) -> dict[str, float]:
    """‖W − W₀‖ / ‖W₀‖ of every kernel, by its path."""
    before = dict(jax.tree_util.tree_flatten_with_path(first)[0])
    moved = {}
    for path, now in jax.tree_util.tree_flatten_with_path(params)[0]:
        was = np.asarray(before[path], np.float64)
        if was.ndim > 1 and (length := np.linalg.norm(was)) > 0:
            moved[jax.tree_util.keystr(path, simple=True, separator="/")] = float(np.linalg.norm(now - was) / length)
    return dict(sorted(moved.items(), key=lambda item: (not item[0].startswith("backbone/"), _counted(item[0]))))


def _counted(name: str) -> list[str | int]:
    """A name such that block 10 comes after block 9."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


Find = Callable[[Any, np.ndarray, Mapping[str, np.ndarray]], dict[str, jax.Array]]
"""Evidence `[B, H, W]` of each task by variables, images uint8 `[B, H, W, C]` and the grades `[B]` of each task."""


def _finder(network: LayerByLayer, layer: str, of: str) -> Find:
    """Grad-CAM for every task, enlarged to the images."""

    def find(variables: Mapping[str, Any], images: jax.Array, grades: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        def scores(outputs: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
            log_probs = {task: objective.log_probs(outputs[task]) for task, objective in network.deciding.items()}
            if of == "expected":
                return {
                    task: jnp.exp(one) @ jnp.arange(one.shape[1], dtype=one.dtype) for task, one in log_probs.items()
                }
            return {
                task: jnp.take_along_axis(one, grades[task][:, None], axis=1)[:, 0] for task, one in log_probs.items()
            }

        coarse = feature_maps.grad_cam(network.model, variables, images, layer, scores)
        shape = (len(images), *images.shape[1:3])
        return {task: jax.image.resize(one, shape, "linear") for task, one in coarse.items()}

    return jax.jit(find)


def _tested(run: Run, network: LayerByLayer, layer: str, of: str, count: int) -> dict[str, Concentration]:
    """How much of the evidence lies in the region of what is graded, over the first test examples of the run."""
    chosen = settings.resolve(run.record.settings, run.record.cell)
    again = shown.reopened(Opened(run.record, chosen, [(one.stage, one.folder) for one in run.stages]))
    split = run.record.models[run.stages[-1].stage.name].splits["test"]
    rows = again.material.splits["test"][:count]
    masks = again.regions(rows)
    if masks is None:
        raise UsageError(f"--test: no stage of {run.record.cell} says where in an image that lies which is graded")
    images = np.asarray(again.values["images"](rows, None))
    _, variables = network.versions[GRADES]
    find, grades = _finder(network, layer, of), {task: result.grades for task, result in split.tasks.items()}
    parts = [np.arange(at, min(at + _BATCH, len(rows))) for at in range(0, len(rows), _BATCH)]
    lies = [find(variables, images[part], {task: one[part] for task, one in grades.items()}) for part in parts]
    return {
        task: evidence.concentration(np.concatenate([np.asarray(one[task]) for one in lies]), masks) for task in grades
    }


def _grey(image: np.ndarray) -> np.ndarray:
    return image if image.ndim == 2 else image.mean(axis=-1)
