"""The chain of the paper on time-lapse recordings of one's own: docs/timelapse.md says how their lists are written.

The cropper learns from simulated wells, so that nobody has to draw masks. The CNN looks at maximum expansion.

Data      manifest.csv and labels.csv in $ORDINAL_BLAST_DATA/timelapse or ./data/timelapse, or --config.data.root=FOLDER
Command   ordinal-blast ablate ablations/losses.py --config configs/timelapse.py --workdir runs/timelapse --seeds 5
Hardware  a GPU for images of 224 pixels
"""

import os

from ml_collections import ConfigDict
from paper import get_config as get_paper


def get_config() -> ConfigDict:
    """configs/paper.py with recordings instead of simulated embryos."""
    config = get_paper()
    config.update(name="timelapse", questions=())
    config.data = dict(source="timelapse", root=os.path.join(os.environ.get("ORDINAL_BLAST_DATA", "data"), "timelapse"))
    config.data.split = dict(by="group", stratified=True)
    config.crops = dict(stage="ordinal_blast.embryo.crops:Crop", cnn_time="tMEB", focal_planes=0)
    return config
