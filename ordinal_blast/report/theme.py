"""One look for every figure: an identity per variant (colour, marker, dash) and a light and a dark palette."""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from collections.abc import Iterator, Sequence

import matplotlib
from matplotlib.figure import Figure

from ordinal_blast.report.names import labels

PAPER, INK, MUTED, GRID = "#ffffff", "#1f2328", "#656d76", "#e4e7eb"
DARK = {PAPER: "#161b22", INK: "#e6edf3", MUTED: "#9198a1", GRID: "#2d333b"}

# Okabe and Ito (2008), told apart by readers with any colour vision; the reference takes the neutral grey.
REFERENCE = ("#57606a", "#a8b1bb")
COLOURS = (
    ("#0072b2", "#3a9bdc"),
    ("#d55e00", "#f0883e"),
    ("#009e73", "#2fbf93"),
    ("#b3558a", "#d98ab8"),
    ("#c28800", "#e6b32e"),
    ("#2f9fdb", "#7cc7f2"),
)
MARKERS = (("s", "■"), ("^", "▲"), ("D", "◆"), ("v", "▼"), ("P", "✚"), ("X", "✖"), ("<", "◀"), (">", "▶"))
DASHES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
REFERENCE_MARK, REFERENCE_DASH = ("o", "●"), (0, (3, 2))

DARK_RULES = DARK | dict((REFERENCE, *COLOURS))
SYSTEM_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"

SETTINGS = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "svg.hashsalt": "ordinal_blast",
    "font.family": ["DejaVu Sans"],
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.titlecolor": INK,
    "axes.labelsize": 8,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": MUTED,
    "axes.facecolor": PAPER,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "figure.facecolor": PAPER,
    "figure.edgecolor": PAPER,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.facecolor": PAPER,
    "legend.edgecolor": PAPER,
    "legend.framealpha": 0.85,
    "legend.fontsize": 7.5,
    "lines.linewidth": 1.5,
    "lines.markersize": 5,
    "savefig.dpi": 72,
    "pdf.compression": 9,
}


@dataclasses.dataclass(frozen=True)
class Look:
    """How one variant is drawn everywhere: `symbol` is its marker as text, `label` its name where room is short."""

    colour: str
    dark: str
    marker: str
    symbol: str
    dash: object
    label: str


def looks(variants: Sequence[str], reference: str) -> dict[str, Look]:
    """A look per variant of the plan, by position: the same colour in every figure, whichever cells finished."""
    rivals = [variant for variant in variants if variant != reference]
    label = labels((reference, *rivals))
    looks = {reference: Look(*REFERENCE, *REFERENCE_MARK, REFERENCE_DASH, label[reference])}
    for position, variant in enumerate(rivals):
        turn, place = divmod(position, len(COLOURS))
        mark = MARKERS[(place + turn) % len(MARKERS)]
        looks[variant] = Look(*COLOURS[place], *mark, DASHES[turn % len(DASHES)], label[variant])
    return looks


def new(width: float, height: float) -> Figure:
    """An empty figure of that size in inches, to be drawn and saved inside `rc()`."""
    return Figure(figsize=(width, height), layout="constrained")


@contextlib.contextmanager
def rc() -> Iterator[None]:
    """The context in which figures are drawn and saved."""
    with matplotlib.rc_context(SETTINGS), warnings.catch_warnings():
        # The reader's fonts draw the text, not those that measure it here.
        warnings.filterwarnings("ignore", message="Glyph .* missing from|Matplotlib currently does not support")
        yield
