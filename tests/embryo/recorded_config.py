"""configs/demo.py on recordings instead of simulated embryos, with frames and networks of seconds."""

import runpy
import sys
from pathlib import Path

CONFIGS = Path(__file__).parents[2] / "configs"
HERE = Path(__file__).parent


def get_config():
    """The chain of one's own recordings."""
    sys.path.insert(0, str(CONFIGS))
    try:
        config = runpy.run_path(str(CONFIGS / "demo.py"))["get_config"]()
    finally:
        sys.path.remove(str(CONFIGS))
    config.data.source = f"{HERE / 'recorded_wells.py'}:source"
    config.data.options = dict(embryos=24, hours=(96.0, 104.0, 112.0, 118.0))
    del config.cropper.images, config.cropper.side
    config.cropper.stage = "ordinal_blast.embryo.cropping:Cropper"
    config.crops.stage = "ordinal_blast.embryo.crops:Crop"
    return config
