"""Keras on PyTorch, its fastest backend on a CPU: the Xception of keras.applications, and its LSTM."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras

from ordinal_blast.bench.peers.torch_peers import LEARNING_RATE
from ordinal_blast.bench.work import Ready, Sample
from ordinal_blast.models import GradingNetwork, Xception


def forward(sample: Sample) -> Ready:
    """Raw outputs of a batch, in evaluation mode."""
    model, x = _model(sample), _scaled(sample.inputs)

    def call() -> np.ndarray:
        return np.concatenate(model.predict_on_batch(x), axis=1)

    return Ready(call, call())


def step(sample: Sample) -> Ready:
    """A step of Adam by `train_on_batch`; what the LSTM says is compared with nothing, as its gates are others."""
    model, x, labels = _model(sample), _scaled(sample.inputs), list(sample.labels.T)
    value = np.concatenate(model.predict_on_batch(x), axis=1) if _is_xception(sample.network) else None
    crossings = [keras.losses.SparseCategoricalCrossentropy(from_logits=True) for _ in labels]
    model.compile(keras.optimizers.Adam(LEARNING_RATE), crossings)
    return Ready(lambda: model.train_on_batch(x, labels), value)


def _model(sample: Sample) -> keras.Model:
    """The network of Keras with a head a task; ValueError for one that Keras does not have."""
    network, shape = sample.network, sample.inputs.shape[1:]
    params = jax.tree.map(np.asarray, sample.variables["params"])
    stats = jax.tree.map(np.asarray, sample.variables.get("batch_stats", {}))
    if _is_xception(network):
        body = keras.applications.Xception(weights=None, include_top=False, input_shape=shape, pooling="avg")
        _load(body, params["backbone"], stats["backbone"])
        inputs, features = body.input, body.output
    else:
        lstm = network.backbone
        inputs = keras.Input(shape)
        features = keras.layers.LSTM(lstm.units, dropout=lstm.dropout, recurrent_dropout=lstm.recurrent_dropout)(inputs)
    outputs = []
    for task, objective in network.heads:
        dense = keras.layers.Dense(objective.num_outputs)
        outputs.append(dense(features))
        dense.set_weights([params[f"{task}_head"][name] for name in ("kernel", "bias")])
    return keras.Model(inputs, outputs)


def _is_xception(network: GradingNetwork) -> bool:
    if network.backbone.__class__ is not Xception:
        return False
    sizes = ("stem", "entry", "middle", "exit", "stem_stride")
    if any(getattr(network.backbone, name) != getattr(Xception, name) for name in sizes):
        raise ValueError("Keras has the published Xception alone")
    return True


def _load(model: keras.Model, params: Mapping[str, Any], stats: Mapping[str, Any]) -> None:
    """Our weights; Keras numbers its shortcuts, conv2d_1 and so on, in the order of ours."""
    blocks = [name for name in sorted(params, key=_number) if name.endswith("_shortcut")]
    shortcuts = iter(blocks), iter(f"{name}_bn" for name in blocks)
    for layer in model.layers:
        match layer:
            case keras.layers.BatchNormalization():
                name = layer.name if layer.name in params else next(shortcuts[1])
                layer.set_weights(
                    [params[name]["scale"], params[name]["bias"], stats[name]["mean"], stats[name]["var"]]
                )
            case keras.layers.SeparableConv2D():
                kernels = params[layer.name]
                layer.set_weights([kernels["depthwise_kernel"].swapaxes(2, 3), kernels["pointwise_kernel"]])
            case keras.layers.Conv2D():
                name = layer.name if layer.name in params else next(shortcuts[0])
                layer.set_weights([params[name]["kernel"]])


def _number(name: str) -> int:
    return int(name.removeprefix("block").partition("_")[0])


def _scaled(inputs: np.ndarray) -> np.ndarray:
    """Pixels in [−1, 1]; floats as they are."""
    return inputs.astype(np.float32) / 127.5 - 1 if inputs.dtype == np.uint8 else inputs
