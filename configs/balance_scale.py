"""Balance scale, 3 grades of four numbers: 30 published stratified hold-outs of one table (468 / 157).

Everything else is as in configs/era.py.

Data      train_balance-scale_0.csv, test_balance-scale_0.csv ... 29 in $ORDINAL_BLAST_DATA/tabular/balance-scale or
          ./data/tabular/balance-scale, or --config.data.root=FOLDER
Command   ordinal-blast ablate ablations/field.py --config configs/balance_scale.py --workdir runs/balance --seeds 30
Hardware  1 CPU core
"""

import os

from era import get_config as get_era
from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The study of ERA on another table."""
    config = get_era()
    config.name = "balance_scale"
    config.data.root = os.path.join(os.environ.get("ORDINAL_BLAST_DATA", "data"), "tabular", "balance-scale")
    config.data.options.update(
        name="balance_scale",
        grades=("left", "balanced", "right"),
        train="train_balance-scale_{holdout}.csv",
        test="test_balance-scale_{holdout}.csv",
    )
    return config
