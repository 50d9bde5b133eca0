"""ONNX Runtime and OpenVINO, for inference in float32, of the network as PyTorch exports it."""

from __future__ import annotations

import io
import os
import warnings

import numpy as np
import torch

from ordinal_blast.bench.peers import torch_peers
from ordinal_blast.bench.work import Ready, Sample


def onnx(sample: Sample) -> Ready:
    """ONNX Runtime on the CPU, with its optimisations, as many threads as the others."""
    import onnxruntime

    module, x = torch_peers.exported(sample)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the older exporter needs no package more
        torch.onnx.export(module, (x,), file, dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    inputs = {session.get_inputs()[0].name: x.numpy()}

    def call() -> np.ndarray:
        return session.run(None, inputs)[0]

    return Ready(call, call())


def openvino(sample: Sample) -> Ready:
    """OpenVINO on the CPU, told to compute in float32, as many threads as the others."""
    os.environ.setdefault("OPENVINO_TELEMETRY_OPT_OUT", "1")
    import openvino as ov

    module, x = torch_peers.exported(sample)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ov.convert_model(module, example_input=x)
    model.reshape(list(x.shape))
    hints = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    compiled, inputs = ov.Core().compile_model(model, "CPU", hints), x.numpy()

    def call() -> np.ndarray:
        return compiled(inputs)[0]

    return Ready(call, call())
