"""What a type checker sees of the public functions: mypy refuses an `ignore` that nothing needs (`make test`)."""

import flax.linen as nn
import jax
import numpy as np

import ordinal_blast
from ordinal_blast import objectives
from ordinal_blast.evaluation import metrics

OUTPUTS, LABELS = np.zeros((3, 2)), np.zeros(3, np.int32)

right: list[jax.Array] = [
    objectives.corn(OUTPUTS, LABELS, threshold_weights=(1.0, 2.0)),
    objectives.corn(outputs=OUTPUTS, labels=LABELS),
    objectives.soft_qwk(OUTPUTS, LABELS, penalty="linear"),
    objectives.soft_qwk(OUTPUTS, LABELS, weights=np.ones(3)),
    objectives.ordistic(OUTPUTS, LABELS, num_classes=3),
    objectives.get("corn", num_classes=3).loss(OUTPUTS, LABELS),
]
layer: nn.Module = objectives.get("corn", num_classes=3).layer()

objectives.corn(OUTPUTS, LABELS, threshold_weight=(1.0, 2.0))  # type: ignore[call-arg]
objectives.corn(OUTPUTS, LABELS, threshold_weights="heavy")  # type: ignore[arg-type]
objectives.soft_qwk(OUTPUTS, LABELS, penalty="cubic")  # type: ignore[arg-type]
objectives.ordistic(OUTPUTS, LABELS)  # type: ignore[call-arg]
objectives.corm(OUTPUTS, LABELS)  # type: ignore[attr-defined]
metrics.off_by_k_accuracy(LABELS, LABELS, 3)  # type: ignore[call-arg]
ordinal_blast.ablate("retinamnist")  # type: ignore[call-arg]
