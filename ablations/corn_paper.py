"""Do the four methods of the CORN paper reach their published errors here, each with its own batch size and rate?

Shi, Cao & Raschka 2023, table of the multilayer perceptrons. CORN is trained by the loss of the authors' code, which
divides by the number of binary questions in the batch.
"""

from collections.abc import Iterator
from typing import Any

SUBJECT = "corn_per_question"
PRIMARY = "mae"  # the first column of the published table
EQUIVALENCE = 0.015  # of 16 grades: about the spread of the published seeds


def variants() -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, overrides); the first is the reference."""
    for name, batch_size, learning_rate in (
        ("cross_entropy", 64, 5e-4),
        ("binary_decomposition", 128, 5e-4),
        ("coral", 64, 5e-4),
        ("corn_per_question", 128, 1e-3),
    ):
        yield (
            name,
            {
                "objective.name": name,
                "mlp.training.batch_size": batch_size,
                "mlp.optimizer.learning_rate": learning_rate,
            },
        )
