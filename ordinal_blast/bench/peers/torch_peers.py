"""PyTorch: channels last, contiguous and compiled, eager otherwise; on a GPU with autocast to bfloat16."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any

import numpy as np

os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # it would fork, which JAX's threads do not survive

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from ordinal_blast.bench.operator_works import Operands
from ordinal_blast.bench.peers.torch_networks import written
from ordinal_blast.bench.work import TORCH, Ready, Sample, per
from ordinal_blast.models import LSTM, GradingNetwork

LAYOUTS = dict(
    zip(
        TORCH,
        ((torch.channels_last, False), (torch.contiguous_format, False), (torch.channels_last, True)),
        strict=True,
    )
)
torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
LEARNING_RATE = 1e-3
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def forward(layout: str, sample: Sample) -> Ready:
    """Raw outputs of a batch, in evaluation mode."""
    module, form, x = _module(layout, sample), LAYOUTS[layout][0], _seen(sample.inputs)
    module.eval()

    def call() -> np.ndarray:
        with torch.inference_mode(), _autocast():
            return module(_placed(x, form)).float().cpu().numpy().reshape(len(x), -1)

    return Ready(call, call())


def step(layout: str, sample: Sample) -> Ready:
    """A step of Adam (fused): values, gradients, update."""
    value = None if _is_lstm(sample) else forward(TORCH[0], sample).value
    module, form, x = _module(layout, sample), LAYOUTS[layout][0], _seen(sample.inputs)
    labels = torch.from_numpy(sample.labels)
    optimizer, loss = _adam(module), _loss(sample)
    module.train()
    return Ready(lambda: _take(module, optimizer, loss, _placed(x, form), labels.to(DEVICE)), value)


def operator(layout: str, operands: Operands, copies: int) -> Ready:
    """A convolution, or the maximum of windows where there is no kernel, and its gradients: a mean of copies."""
    form, dtype = LAYOUTS[layout][0], torch.float32 if DEVICE.type == "cpu" else torch.bfloat16
    x, g = (_seen(values).to(DEVICE, dtype).contiguous(memory_format=form) for values in operands[:2])
    x, kernel = x.requires_grad_(), None
    if operands.kernel is not None:
        kernel = torch.from_numpy(operands.kernel.transpose(3, 2, 0, 1).copy()).to(DEVICE, dtype).requires_grad_()

    def compute() -> torch.Tensor:
        return (
            F.max_pool2d(x, 3, 2, padding=1)
            if kernel is None
            else F.conv2d(x, kernel, padding=1, groups=x.shape[1] // kernel.shape[1])
        )

    def call() -> None:
        for _ in range(copies):
            torch.autograd.grad(compute(), [x] if kernel is None else [x, kernel], g)
        if DEVICE.type != "cpu":
            torch.cuda.synchronize()

    with torch.no_grad():
        value = compute()[:1].float().permute(0, 2, 3, 1).cpu().numpy()
    return Ready(per(call, copies), value)


def epoch(layout: str, sample: Sample, val: Sample, size: int, epochs: int) -> Ready:
    """An epoch, the mean of so many: training from a DataLoader, then the loss on the validation set.

    sample holds the training set, inputs uint8 or float `[N, ...]`.
    """
    form, loss = LAYOUTS[layout][0], _loss(sample)
    train_loader, val_loader = (
        DataLoader(TensorDataset(_stored(x), torch.from_numpy(y)), size, shuffle=training, drop_last=training)
        for x, y, training in ((sample.inputs, sample.labels, True), (val.inputs, val.labels, False))
    )
    value = None if _is_lstm(sample) else forward(TORCH[0], sample.first(size)).value
    module = _module(layout, sample)

    def call() -> float:
        optimizer, total = _adam(module), 0.0
        for _ in range(epochs):
            module.train()
            for x, y in train_loader:
                _take(module, optimizer, loss, _placed(x, form), y.to(DEVICE))
            module.eval()
            with torch.inference_mode(), _autocast():
                total = sum(float(loss(module(_placed(x, form)), y.to(DEVICE))) for x, y in val_loader)
        return total

    return Ready(per(call, epochs), value)


def loader(images: np.ndarray, size: int) -> Ready:
    """An epoch of uint8 images by a DataLoader, a mean of its batches."""
    batches = DataLoader(TensorDataset(_stored(images)), size, shuffle=True, drop_last=True)
    return Ready(per(lambda: sum(len(x) for (x,) in batches), len(images) // size))


def _take(module: nn.Module, optimizer: Any, loss: Callable[..., Any], x: torch.Tensor, labels: torch.Tensor) -> None:
    optimizer.zero_grad()
    with _autocast():
        outputs = module(x)
    value = loss(outputs.float(), labels)
    value.backward()
    optimizer.step()
    if DEVICE.type != "cpu":
        torch.cuda.synchronize()


def _adam(module: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(module.parameters(), LEARNING_RATE, fused=True)


def _loss(sample: Sample) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """The cross-entropy, mean over tasks, of labels `[B, tasks]`; for masks `[B, H, W]` the Dice loss."""
    if not isinstance(sample.network, GradingNetwork):
        return _dice
    sizes = [objective.num_outputs for _, objective in sample.network.heads]

    def loss(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        parts = zip(outputs.split(sizes, 1), labels.unbind(1), strict=True)
        return sum(F.cross_entropy(logits, label) for logits, label in parts) / len(sizes)

    return loss


def _dice(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    probability = torch.sigmoid(logits)
    both, sizes = (probability * masks).sum((1, 2)), probability.sum((1, 2)) + masks.sum((1, 2))
    return (1 - (2 * both + 1) / (sizes + 1)).mean()


def _module(layout: str, sample: Sample) -> nn.Module:
    form, compiled = LAYOUTS[layout]
    module = written(sample.network, sample.variables, sample.inputs.shape[1:]).to(DEVICE)
    if not _is_lstm(sample):
        module = module.to(memory_format=form)
    if not compiled:
        return module
    torch._dynamo.reset()  # it gives up after so many programs of one text
    return torch.compile(module, dynamic=False)


def _is_lstm(sample: Sample) -> bool:
    return isinstance(sample.network, GradingNetwork) and isinstance(sample.network.backbone, LSTM)


def _stored(inputs: np.ndarray) -> torch.Tensor:
    """Images `[N, C, H, W]`, or what is no image as it is."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(inputs, -1, 1)) if inputs.ndim == 4 else inputs)


def _seen(inputs: np.ndarray) -> torch.Tensor:
    """Images as `[B, C, H, W]` that lie in memory as they did, or what is no image as it is."""
    return torch.from_numpy(np.moveaxis(inputs, -1, 1) if inputs.ndim == 4 else inputs)


def _placed(x: torch.Tensor, form: torch.memory_format) -> torch.Tensor:
    """A batch on the device in this layout, pixels scaled to [−1, 1]."""
    x = x.to(DEVICE)
    x = x.float() / 127.5 - 1 if x.dtype == torch.uint8 else x
    return x.contiguous(memory_format=form) if x.ndim == 4 else x


def _autocast() -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext() if DEVICE.type == "cpu" else torch.autocast("cuda", torch.bfloat16)


def exported(sample: Sample) -> tuple[nn.Module, torch.Tensor]:
    """The network in evaluation mode and its inputs, as converters take them."""
    module = written(sample.network, sample.variables, sample.inputs.shape[1:])
    return module.eval(), _placed(_stored(sample.inputs), torch.contiguous_format).cpu()
