"""A network of frames and one of sequences, by their names, trained as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import flax.linen as nn

from ordinal_blast.models import networks
from ordinal_blast.models.networks import NETWORKS
from ordinal_blast.models.sequence import FrameSequence
from ordinal_blast.ranges import Range
from ordinal_blast.settings import NetworkSettings

_PART = Range(  # code of one's own stands in settings where it is seen, and here it would not be
    "a section with the name of a network of the package and, if any, its options",
    lambda value: isinstance(value, Mapping) and {*value} <= {"name", "options"} and value.get("name") in NETWORKS,
)
Part = Annotated[Mapping[str, Any], _PART]


def frames_and_sequence(*, frame: Part = {"name": "xception"}, sequence: Part = {"name": "lstm"}) -> nn.Module:  # noqa: B006
    """Clips `[B, T, H, W, C]` to features `[B, D]`: a network of images on every frame, one of sequences on these.

    frame, sequence: name and options of a network of the package. See `FrameSequence`.
    """
    networks_by_place = {
        where: networks.make(NetworkSettings(part["name"], part.get("options", {})), f"options.{where}")
        for where, part in {"frame": frame, "sequence": sequence}.items()
    }
    return FrameSequence(**networks_by_place)


frames_and_sequence.reads = "clips"  # type: ignore[attr-defined]
