"""Recordings of simulated wells, every frame of them on disk: as somebody's own time-lapse data come."""

from functools import partial

import numpy as np
import tensorflow_datasets as tfds

from ordinal_blast.data.store import Source, pixels
from ordinal_blast.embryo.simulator import Simulation, draw, masks, population, wells
from ordinal_blast.types import Task

PLANES = (-45.0, 0.0, 45.0)


def source(root, *, embryos: int, hours: tuple[float, ...], empty_share: float = 0.0, size: int = 32) -> Source:
    """Frames `[T, size, size, 3]`, masks, hours, tA and grades of so many wells."""
    frames, text = len(hours), tfds.features.Text()
    return Source(
        name="recorded_wells",
        tasks=(Task("icm", ("C", "B", "A")), Task("te", ("C", "B", "A"))),
        summary="recordings",
        licence="",
        citation="",
        identity={"embryos": embryos, "hours": list(hours), "empty": empty_share, "size": size},
        features={
            **dict.fromkeys(("id", "group", "clinic", "instrument"), text),
            **dict.fromkeys(("label/icm", "label/te", "fetal_heartbeat"), np.int32),
            "tA": np.float32,
            "hpi": tfds.features.Tensor(shape=(frames,), dtype=np.float32),
            "frames": pixels(frames, size, size, 3),
            "masks": pixels(frames, size, size),
        },
        splits={"wells": partial(records, embryos, hours, empty_share, size)},
        extras={"planes": list(PLANES)},
    )


def records(embryos, hours, empty_share, size):
    """Every well in turn."""
    simulation = Simulation(embryos=embryos, seed=0)
    people, hpi = population(simulation), np.asarray(hours, np.float32)
    empty = wells(simulation, embryos, 1 - empty_share, 0.5)[0]["empty"]
    for i in range(embryos):
        row = {name: values[i] for name, values in people.items()} | {"empty": empty[i]}
        graded = -1 if empty[i] else 1
        yield {
            "id": f"well-{i:03d}",
            "group": f"treatment-{row['treatment']}",
            "clinic": f"clinic-{row['clinic']}",
            "instrument": str(row["instrument"]),
            "label/icm": row["icm"] if graded > 0 else -1,
            "label/te": row["te"] if graded > 0 else -1,
            "fetal_heartbeat": row["fetal_heartbeat"],
            "tA": row["tA"],
            "hpi": hpi,
            "frames": draw(simulation.key, row, hpi, np.asarray(PLANES), size),
            "masks": masks(simulation.key, row, hpi, size).astype(np.uint8),
        }
