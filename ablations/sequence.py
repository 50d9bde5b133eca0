"""What does the recurrent network gain from a sequence: order, length, or merely that it sees many frames?

The LSTM of the configuration against the same with the frames in reverse, with masked padding, with half of the frames
and with the last one alone; against networks that know no order (the mean of the frames, and attention over them); and
against CNN and LSTM trained together on the crops, as Kragh et al. 2019 tried. Cropper, crops, features, loss and seeds
are held fixed; the joint network has the CNN's optimiser, schedule and batches, and starts from random weights.
For configurations with the stages of `configs/paper.py`.
"""

from collections.abc import Iterator
from typing import Any

from ordinal_blast.settings import Settings, tree

REFERENCE, SUBJECT = "LSTM", "mean of frames"
PRIMARY = ("mae", "qwk")  # as for the losses: the distance counts, and kappa is what the field reports
EQUIVALENCE = 0.02  # of both: one grade in fifty examples, and a tenth of the .2 from one verdict on kappa to the next


def variants(base: Settings) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, overrides); the first is the reference."""
    sections = tree(base)
    options = dict(sections["rnn"]["network"]["options"])
    pooled = {name: options[name] for name in ("units", "dropout") if name in options}
    frames = sections["sequences"]["max_frames"]
    yield "LSTM", {}
    yield "LSTM, reversed", {"sequences.order": "reversed"}
    yield "LSTM, padding masked", {"rnn.network.options.masking": True}
    yield "LSTM, half of the frames", {"sequences.max_frames": max(frames // 2, 1)}
    yield "LSTM, last frame", {"sequences.max_frames": 1}
    yield "mean of frames", {"rnn.network": {"name": "mean", "options": pooled}}
    yield "attention over frames", {"rnn.network": {"name": "attention", "options": pooled}}
    parts = {
        place: {name: sections[stage]["network"][name] for name in ("name", "options")}
        for place, stage in {"frame": "cnn", "sequence": "rnn"}.items()
    }
    joint = {name: sections["cnn"][name] for name in ("optimizer", "schedule", "training")}
    yield (
        "CNN and LSTM together",
        {
            "chain": ("cropper", "crops", "clips", "rnn"),
            "clips": {"stage": "ordinal_blast.embryo.clips:Clips", "max_frames": frames},
            "rnn": {**joint, "network": {"name": "frames", "options": parts}},
        },
    )
