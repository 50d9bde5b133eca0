"""What the command line does, from Python: `ablate` here, `load` and `Study` from the report."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from ordinal_blast import settings
from ordinal_blast.data import memory
from ordinal_blast.errors import UserError
from ordinal_blast.ranges import PATH, Range, check, whole
from ordinal_blast.report import Study, load
from ordinal_blast.settings import Settings
from ordinal_blast.study import plan, runner, session

__all__ = ["Study", "ablate", "load"]

_CONFIG = Range(
    "a file, the name of one, a mapping of settings, or Settings",
    lambda value: isinstance(value, str | Path | Mapping | ConfigDict | Settings),
)
_VARIANTS = Range(
    "an ablation file, the name of one, names of objectives, or a mapping of names to settings",
    lambda value: isinstance(value, str | Path | Sequence | Mapping),
)
_FOLDER = Range(
    f"{PATH.words}, and not empty",
    lambda value: isinstance(value, Path) or (value != "" and PATH.holds(value)),
)
Variants = str | Path | Sequence[str] | Mapping[str, Mapping[str, Any]]


def ablate(
    config: str | Path | Mapping[str, Any] | ConfigDict | Settings,
    variants: Variants,
    *,
    seeds: int = 1,
    data: Mapping[str, Any] | None = None,
    reference: str | None = None,
    subject: str | None = None,
    primary: str | Sequence[str] | None = None,
    equivalence: float | None = None,
    workdir: str | Path | None = None,
    allow_changed_code: bool = False,
) -> Study:
    """Run every variant with every seed, as `ordinal-blast ablate` does, and read what came of it.

    config: a configuration file or its name, or what its `get_config()` returns: settings that differ from the
    defaults. variants: an ablation file or its name; names of objectives, the first of which is the reference; or per
    name the settings that it changes, `{"corn": {"objective": "corn"}}`.

    data: what is in memory instead of `config.data`, a mapping of arrays: x (or images, clips, sequences, numbers), y
    (or a mapping of labels by task) and, where they are known, group, split and id of every example; or a pandas frame
    as x, and y or the name of a column of x as label. Beside them stand options of the source `arrays`, or `table` for
    a frame, such as `grades=("low", "high")`. Where there is no split, groups are divided by `config.data.split`.

    reference, subject, primary ("mae", "qwk:icm", or several) and equivalence say what is asked of them, as the
    constants of an ablation file do (`question.ask`); left out, the first variant, none, "mae" and none.

    workdir: `runs/NAME` unless said otherwise; the same call goes on where it stopped. Raises UserError where cells
    failed, after all others were run; UsageError as the command does.
    """
    check("seeds", seeds, whole(1))
    check("variants", variants, _VARIANTS)
    check("workdir", "runs" if workdir is None else workdir, _FOLDER)
    chosen = _settings(config)
    root = Path(workdir) if workdir is not None else Path("runs") / chosen.name
    if data is not None:
        chosen = settings.override(chosen, memory.save(root / "data", data))
    if isinstance(variants, str | Path):
        grid = plan.ablation(str(variants), chosen, seeds)
    else:
        named = (
            variants.items() if isinstance(variants, Mapping) else [(name, {"objective": name}) for name in variants]
        )
        grid = plan.of_variants("", named, chosen, seeds)
    asked = {"reference": reference, "subject": subject, "primary": primary, "equivalence": equivalence}
    grid = plan.asking(grid, "ablate", **asked)
    command = shlex.join(["ordinal_blast.ablate", chosen.name, f"--seeds={seeds}"])
    failed = runner.run(
        grid, root, command, session.begin(chosen.devices, chosen.compiled), allow_changed_code=allow_changed_code
    )
    if failed:
        raise UserError(
            f"{len(failed)} of {len(grid.cells)} cells failed ({', '.join(failed)}): see cells/<cell>/error.txt in "
            f"{root}; ordinal_blast.load({str(root)!r}) reads the others"
        )
    return load(root)


def _settings(config: str | Path | Mapping[str, Any] | ConfigDict | Settings) -> Settings:
    if isinstance(config, Settings):
        return config
    check("config", config, _CONFIG)
    if isinstance(config, str | Path):
        return settings.load(str(config), {})
    return settings.resolve(config, "config")
