"""What Kragh et al. (2019) measured on their private data, number by number, by the table that has it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

SOURCE = "Kragh et al. 2019, doi:10.1016/j.compbiomed.2019.103494"
MEASURES = ("accuracy", "mse")  # that its tables have, each of ICM and of TE
TASKS = ("icm", "te")
LOSS = "ordinal_cross_entropy"  # of its own models

Place = tuple[str, str]  # stage and variant


@dataclasses.dataclass(frozen=True)
class Published:
    """A line of a table: its name there, a value per measure and task, and where a study here may have the same.

    places: (stage, variant), the likeliest first: names of `ablations/frames.py`, `multitask.py` and `losses.py`.
    """

    name: str
    values: Mapping[tuple[str, str], float]
    places: tuple[Place, ...]


@dataclasses.dataclass(frozen=True)
class Results:
    """A table of results: its number, what it compares, its lines in order."""

    number: str
    title: str
    lines: tuple[Published, ...]


def _line(name: str, numbers: tuple[float | None, ...], *places: Place) -> Published:
    """numbers: accuracy of ICM and of TE, squared error of ICM and of TE; None where the table has a dash."""
    keys = [(measure, task) for measure in MEASURES for task in TASKS]
    return Published(name, {key: n for key, n in zip(keys, numbers, strict=True) if n is not None}, places)


_CNN, _RNN = (0.639, 0.652, 0.417, 0.383), (0.652, 0.696, 0.415, 0.361)
TABLES = (
    Results(
        "Table 3",
        "which frame the CNN sees, and the RNN",
        (
            _line("CNN, 105 hpi", (0.576, 0.603, 0.491, 0.454), ("grader", "CNN at 105 hpi")),
            _line("CNN, 110 hpi", (0.572, 0.622, 0.555, 0.459), ("grader", "CNN at 110 hpi")),
            _line("CNN, 115 hpi", (0.586, 0.611, 0.533, 0.474), ("grader", "CNN at 115 hpi")),
            _line("CNN, 120 hpi", (0.580, 0.645, 0.525, 0.411), ("grader", "CNN at 120 hpi")),
            _line("CNN, tMEB", (0.577, 0.656, 0.476, 0.387), ("grader", "CNN at tMEB")),
            _line("CNN, tA", _CNN, ("grader", "CNN at tA"), ("cnn", LOSS)),
            _line("RNN", _RNN, ("grader", "RNN"), ("rnn", LOSS)),
        ),
    ),
    Results(
        "Table 4",
        "one task alone, or both",
        (
            _line("CNN, ICM", (0.622, None, 0.431, None), ("cnn", "ICM alone")),
            _line("CNN, TE", (None, 0.624, None, 0.422), ("cnn", "TE alone")),
            _line("CNN, multi-task", _CNN, ("cnn", "ICM and TE")),
            _line("RNN, ICM", (0.645, None, 0.411, None), ("rnn", "ICM alone")),
            _line("RNN, TE", (None, 0.680, None, 0.358), ("rnn", "TE alone")),
            _line("RNN, multi-task", _RNN, ("rnn", "ICM and TE")),
        ),
    ),
    Results(
        "Table 7",
        "losses of the CNN at tA",
        (
            _line("thresholded linear regression", (0.526, 0.519, 0.664, 0.727), ("cnn", "thresholded_regression")),
            _line("categorical cross-entropy", (0.610, 0.644, 0.503, 0.444), ("cnn", "cross_entropy")),
            _line("ordinal binary decomposition", (0.589, 0.617, 0.475, 0.464), ("cnn", "binary_decomposition")),
            _line("ordinal cross-entropy", _CNN, ("cnn", LOSS)),
        ),
    ),
)
CONFUSED = {"icm": 0.022, "te": 0.019}  # section 4.1, of table 5: A taken for C or C for A, RNN, of all 851
KHOSRAVI = 0.975  # Khosravi et al. 2019, without fair embryos: what section 5 sets beside 1 - CONFUSED
MAJORITY = {"icm": 0.655, "te": 0.727}  # table 6: accuracy of the RNN at majority votes, 55 embryos
LEFT_OUT = {  # equations 4 and 5, 55 embryos; the rule for ties is not stated
    "human": {"icm": 0.651, "te": 0.738},
    "model": {"icm": 0.719, "te": 0.764},
}
AREAS = {"human": 0.64, "model": 0.66}  # figure 5, of 287 transferred; p of their difference:
AREAS_P = 0.536
SECONDS = {  # table 8: seconds of one blastocyst of 30 frames: CNN, RNN, both; without the cropper
    "CPU (Xeon E5-2620 v4)": (5.938, 0.026, 5.964),
    "GPU (GeForce Titan X)": (0.548, 0.048, 0.596),
}
DICE = 0.960  # section 2.2: cropper, 425 test images
PARAMETERS = {  # as printed in table A.9, table 1 (a slip: its layers have 20.9 M) and table 2
    "cropper": "469k (table A.9)",
    "cnn": "2M (table 1; its layers have 20.9M)",
    "rnn": "541k (table 2)",
}
