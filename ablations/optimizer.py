"""Does the ranking of the paper's losses depend on the optimiser?

Each loss of `ablations/losses.py` with each optimiser. The reference and the first four are those of
`configs/retinamnist.py`: AdamW, its rate halved on a plateau. The others change the optimiser and what goes with it:
Adam without decay, SGD with Nesterov's momentum along a cosine after a warm-up, RMSprop. Their rates are usual ones for
such a network (SGD takes about a hundred times Adam's; without clipping, the squared error of the regression diverges),
and are not tuned for any of the losses.

A ranking that holds under all four is one of the losses; where it changes, the optimiser decides as much as the loss.
Written for configurations whose stage is `cnn`, such as `configs/retinamnist.py`.
"""

from collections.abc import Iterator
from typing import Any

PRIMARY = "mae"
EQUIVALENCE = 0.02  # one grade in fifty examples

LOSSES = {
    "cross_entropy": {"objective": "cross_entropy"},
    "ordinal_cross_entropy": {"objective": "ordinal_cross_entropy"},
    "binary_decomposition": {"objective": "binary_decomposition"},
    "thresholded_regression": {"objective": "thresholded_regression"},
}
OPTIMIZERS = {
    "adamw": {},
    "adam": {"cnn.optimizer": "adam"},
    "sgd": {
        "cnn.optimizer": {
            "name": "sgd",
            "learning_rate": 0.1,
            "options": {"momentum": 0.9, "nesterov": True},
            "clip_norm": 1.0,
        },
        "cnn.schedule": "warmup_cosine",
    },
    "rmsprop": {"cnn.optimizer": {"name": "rmsprop", "learning_rate": 1e-3, "options": {"decay": 0.9}}},
}
FAMILIES = {optimizer: tuple(f"{loss} {optimizer}" for loss in LOSSES) for optimizer in OPTIMIZERS}


def variants() -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, overrides); the first is the reference."""
    for optimizer, moves in OPTIMIZERS.items():
        for loss, optimised in LOSSES.items():
            yield f"{loss} {optimizer}", {**optimised, **moves}
