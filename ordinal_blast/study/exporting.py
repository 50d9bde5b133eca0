"""The whole grader of a finished cell as one file that runs without this package, or its weights alone."""

from __future__ import annotations

import dataclasses
import json
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import export as jax_export
from jax import lax

from ordinal_blast.errors import UsageError, UserError, needs, one_line
from ordinal_blast.models import platforms
from ordinal_blast.models.networks import NETWORKS
from ordinal_blast.record import Record
from ordinal_blast.settings import StageSettings
from ordinal_blast.storage import atomic
from ordinal_blast.study import grade_sets, grading, shared
from ordinal_blast.study.recipe import Stage, Traced, Values
from ordinal_blast.training import checkpoints, initial, weight_files

PLATFORMS = ("cpu", "cuda", "tpu")
_OPSET = 21  # of ONNX, which the runtimes of 2024 and later have
_OPERATORS = {name: {"pooling": "windowed"} for name in ("unet", "xception")}  # forms for which ONNX has an operator
# Options that may ask for what this machine alone can compute.
_HERE = ("dense", "depthwise", "pooling", "normalization", "inference")

Outputs = dict[str, jax.Array]


class Grader(NamedTuple):
    """The chain of a cell as one function of its variables and raw inputs.

    inputs: name to shape, b the batch, and dtype, in the order of its arguments. facts: what outputs mean, JSON-able.
    """

    inputs: Mapping[str, tuple[str, str]]
    variables: Sequence[Mapping[str, Any]]
    apply: Callable[..., Outputs]
    facts: Mapping[str, Any]


def export(run: Path, out: Path, *, level: float = 0.9, trust: Path | None = None) -> dict[str, Any]:
    """Write the grader of a finished cell to `out`, by its suffix, and return what it reads and says.

    .jax: a program of `jax.export` for CPU, GPU and TPU. .onnx: for ONNX runtimes. .safetensors: the weights of the
    last network of a cell, or of a stage's folder, to start others from (`init_from`). level: of the sets of grades,
    0 to leave them out. Raises UsageError for a run, a place or a suffix that cannot be.
    """
    writers = {".jax": _jax, ".onnx": _onnx}
    if out.suffix not in (*writers, *weight_files.SAFETENSORS):
        raise UsageError(f"--out {out} has the suffix {out.suffix or 'none'}: give FILE.jax, .onnx or .safetensors")
    grade_sets.check_level(level)
    if out.suffix in weight_files.SAFETENSORS:
        return _weights(run, out, trust)
    with grading.opened(run, trust) as (finished, _, chain):
        grader = _grader(chain, finished, level, _OPERATORS if out.suffix == ".onnx" else {})
        content = writers[out.suffix](grader)
    with atomic(out) as stream:
        stream.write(content)
    return {"file": str(out), "bytes": len(content), **grader.facts}


def text(facts: Mapping[str, Any]) -> str:
    """What `export` returns, as lines."""
    lines = [f"Exported: {facts['file']} ({facts['bytes']:,} bytes)"]
    if "arrays" in facts:
        return f"{lines[0]}\n  {facts['arrays']} arrays, to start from with init_from={facts['file']}"
    lines += [f"  reads {name}: {of['dtype']} {of['shape']}" for name, of in facts["inputs"].items()]
    for task, grades in facts["grades"].items():
        names = ["grade", "probs", "score", *(("lowest", "highest") if task in facts["sets"] else ())]
        meant = ", ".join(f"{number} is {grade}" for number, grade in enumerate(grades))
        lines.append(f"  says {', '.join(f'{task}/{name}' for name in names)}: {meant}")
    return "\n".join(lines)


def _weights(run: Path, out: Path, trust: Path | None) -> dict[str, Any]:
    if shared.is_finished(run):
        folder = run
    else:
        with grading.opened(run, trust) as opened:
            _, folder = opened.chain[-1]
    if not checkpoints.is_sealed(folder):
        raise UsageError(f"--run {run} holds no trained network: give a finished cell, or a stage that learns")
    arrays = initial.stored(folder)
    weight_files.write(out, arrays)
    return {"file": str(out), "bytes": out.stat().st_size, "arrays": len(arrays)}


def _grader(
    chain: Sequence[tuple[Stage[StageSettings], Path]],
    finished: Record,
    level: float,
    operators: Mapping[str, Mapping[str, Any]],
) -> Grader:
    traced: list[Traced] = []
    inputs: dict[str, tuple[str, str]] = {}
    there: set[str] = set()
    for stage, folder in chain:
        one = _plain(stage, operators).traced(folder, finished)
        inputs |= {name: spec for name, spec in one.inputs.items() if name not in there}
        there |= {*stage.makes}
        traced.append(one)
    last = next(stage.name for stage, _ in reversed(chain) if stage.name in finished.models)
    sets = grade_sets.calibrated([finished], last, level)

    def apply(variables: Sequence[Mapping[str, Any]], *arrays: jax.Array) -> Outputs:
        values: Values = dict(zip(inputs, arrays, strict=True))
        for one, mine in zip(traced, variables, strict=True):
            values = one.apply(mine, values)
        outputs: Outputs = {}
        for task, said in values["graded"].items():
            if task in sets:
                said |= _set(said["probs"], sets[task].threshold)
            outputs |= {f"{task}/{name}": value for name, value in said.items()}
        return outputs

    facts = {
        "model": last,
        "decides_by": finished.objective["decides_by"],
        "inputs": {name: {"shape": f"[{shape}]", "dtype": dtype} for name, (shape, dtype) in inputs.items()},
        "grades": {task.name: list(task.grades) for task in finished.tasks},
        "sets": {task: {"level": one.level, "calibrated_on": one.n} for task, one in sets.items()},
    }
    return Grader(inputs, [one.variables for one in traced], apply, facts)


def _plain(stage: Stage[StageSettings], operators: Mapping[str, Mapping[str, Any]]) -> Stage[StageSettings]:
    """The stage without options of its network that ask for the compiled kernels of this machine.

    operators: options by which networks are computed, by their names; they change no value.
    """
    network = getattr(stage.settings, "network", None)
    if network is None or network.name not in NETWORKS:
        return stage
    options = {name: value for name, value in network.options.items() if name not in _HERE or value != "native"}
    plain = dataclasses.replace(network, options={**options, **operators.get(network.name, {})})
    return type(stage)(stage.name, dataclasses.replace(stage.settings, network=plain))  # type: ignore[call-arg]


def _set(probs: jax.Array, threshold: float) -> dict[str, jax.Array]:
    """`conformal.Conformal.sets` of the method "lac": grades with 1 − p at most the threshold, and those between."""
    count = probs.shape[1]
    inside = (1 - probs <= threshold) | (jnp.arange(count)[None] == jnp.argmax(probs, axis=1)[:, None])
    low, high = jnp.argmax(inside, axis=1), count - 1 - jnp.argmax(inside[:, ::-1], axis=1)
    return {"lowest": low.astype(jnp.int32), "highest": high.astype(jnp.int32)}


def _for(platform: str, grader: Grader) -> Callable[..., Outputs]:
    """The grader in the forms that are fast on a platform, none of which need this machine or this package."""

    def run(variables: Sequence[Mapping[str, Any]], *arrays: jax.Array) -> Outputs:
        with platforms.exported(platform):
            return grader.apply(variables, *arrays)

    return run


def _jax(grader: Grader) -> bytes:
    def grade(*arrays: jax.Array) -> Outputs:
        on_cpu, elsewhere = _for("cpu", grader), _for("gpu", grader)
        return lax.platform_dependent(grader.variables, *arrays, cpu=on_cpu, default=elsewhere)

    grade.__name__ = json.dumps(grader.facts)
    return bytes(jax_export.export(jax.jit(grade), platforms=PLATFORMS)(*_arguments(grader)).serialize())


def _onnx(grader: Grader) -> bytes:
    with needs("onnx"):
        from jax2onnx import to_onnx
    run, arguments = _for("gpu", grader), _arguments(grader)
    said = sorted(jax.eval_shape(run, grader.variables, *arguments))

    def grade(*arrays: jax.Array) -> tuple[jax.Array, ...]:
        outputs = run(grader.variables, *arrays)
        return tuple(outputs[name] for name in said)

    logging.getLogger("onnx_ir").setLevel(logging.ERROR)  # it warns of shapes that it leaves out
    names = {"input_names": list(grader.inputs), "output_names": said}
    try:
        with warnings.catch_warnings(action="ignore"):  # its own
            model = to_onnx(grade, arguments, model_name="grader", opset=_OPSET, **names)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"jax2onnx cannot convert this grader: {one_line(error)}; export FILE.jax instead") from error
    entry = model.metadata_props.add()
    entry.key, entry.value = "ordinal_blast", json.dumps(grader.facts)
    return bytes(model.SerializeToString())


def _arguments(grader: Grader) -> list[jax.ShapeDtypeStruct]:
    scope = jax_export.SymbolicScope()
    return [
        jax.ShapeDtypeStruct(jax_export.symbolic_shape(shape, scope=scope), dtype)
        for shape, dtype in grader.inputs.values()
    ]
