"""Does the form in which convolutions are computed, or the number of threads, change what is learnt?

Both forms are the same sums in another order, so that any difference is round-off that training has carried on. Run it
once with every number of threads (after `taskset -c 0`, one), each in a work directory of its own, and report them
together.
"""

from collections.abc import Iterator
from typing import Any

PRIMARY = ("mae", "qwk")
EQUIVALENCE = 0.02  # what the losses are to differ by at least, to matter


def variants() -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, overrides); the first is the reference."""
    for name, (dense, depthwise, pooling) in {
        "shifted": ("patches", "shifted", "shifted"),
        "grouped": ("xla", "grouped", "windowed"),
    }.items():
        yield (
            name,
            {
                "objective.name": "cross_entropy",
                "cnn.network.options.dense": dense,
                "cnn.network.options.depthwise": depthwise,
                "cnn.network.options.pooling": pooling,
            },
        )
