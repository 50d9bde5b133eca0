"""Ordinal losses compared fairly in JAX and Flax: from data to a report, as pure functions.

Importing this package imports nothing heavy: what is named here is looked up when it is first used. The losses are in
`ordinal_blast.objectives` and need JAX and numpy alone; `load`, `Study`, `from_predictions` and `raters` need the extra
report, `ablate` study too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ordinal_blast.errors import needs

if TYPE_CHECKING:
    from ordinal_blast.api import ablate
    from ordinal_blast.embryo.rater_files import raters
    from ordinal_blast.report import Study, load
    from ordinal_blast.report.imported import from_predictions

__version__ = "0.1.0"
__all__ = ["Study", "__version__", "ablate", "from_predictions", "load", "raters"]


def __getattr__(name: str) -> Any:
    if name == "ablate":
        with needs("study,report"):
            from ordinal_blast.api import ablate
        return ablate
    if name == "raters":
        with needs("report"):
            from ordinal_blast.embryo.rater_files import raters
        return raters
    if name == "from_predictions":
        with needs("report"):
            from ordinal_blast.report.imported import from_predictions
        return from_predictions
    if name in ("Study", "load"):
        with needs("report"):
            from ordinal_blast import report
        return getattr(report, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
