"""ONNX Runtime and OpenVINO, for inference in float32, of the network as PyTorch exports it to ONNX."""

from __future__ import annotations

import io
import sys
import warnings

import numpy as np
import torch

from ordinal_blast.bench.peers import torch_peers
from ordinal_blast.bench.work import Ready, Sample


def onnx(sample: Sample) -> Ready:
    """ONNX Runtime on the CPU, with its optimisations, as many threads as the others."""
    import onnxruntime

    model, x = _exported(sample)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    inputs = {session.get_inputs()[0].name: x}

    def call() -> np.ndarray:
        return session.run(None, inputs)[0]

    return Ready(call, call())


def openvino(sample: Sample) -> Ready:
    """OpenVINO on the CPU, told to compute in float32, as many threads as the others."""
    sys.modules.setdefault("openvino_telemetry", None)  # it would fork at once, and send what it is used for
    from openvino import Core

    model, x = _exported(sample)
    core = Core()
    hints = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    compiled = core.compile_model(core.read_model(model), "CPU", hints)

    def call() -> np.ndarray:
        return compiled(x)[0]

    return Ready(call, call())


def _exported(sample: Sample) -> tuple[bytes, np.ndarray]:
    """The network in evaluation mode as ONNX, and its inputs."""
    module, x = torch_peers.exported(sample)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the older exporter needs no package more
        torch.onnx.export(module, (x,), file, dynamo=False)
    return file.getvalue(), x.numpy()
