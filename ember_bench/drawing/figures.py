"""Figures for papers and talks, drawn by matplotlib.

Text of models and data is set as it is: no mathematics, no TeX. A figure does not depend on the
user's settings of matplotlib, nor on the day.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, Literal

from ember_bench.drawing.text import one_line
from ember_bench.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Width = Literal["one", "two"]
WIDTHS: Final[dict[Width, float]] = {"one": 3.25, "two": 6.75}
"""Inches of one column of a page, and of two."""
FORMATS: Final = ("pdf", "svg", "png")

COLOURS: Final = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#7F7F7F",
)  # fmt: skip
"""Okabe and Ito's, which colour-blind people tell apart; yellow is too light for lines."""
COLOURS_ON_DARK: Final = (
    "#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#D55E00", "#FFFFFF", "#9A9A9A",
)  # fmt: skip
"""Theirs, too, but for their blue, which is too dark."""
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "*")
"""One for each colour: figures can be read in black and white."""
FONT: Final = 7.0
"""Points of text, the least that conferences allow for."""

_RATIO: Final = 0.72
_MOST_BESIDE: Final = 3
_DPI: Final = 300
_STYLE: Final[dict[Any, Any]] = {
    "font.family": ["DejaVu Sans"],  # matplotlib's own, the same on all machines
    "font.size": FONT,
    "axes.labelsize": FONT,
    "axes.titlesize": FONT,
    "xtick.labelsize": FONT - 1,
    "ytick.labelsize": FONT - 1,
    "legend.fontsize": FONT - 1,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.linewidth": 0.4,
    "lines.linewidth": 1.0,
    "lines.markersize": 3.6,
    "hatch.linewidth": 0.5,
    # TrueType, which editors of PDF read and conferences ask for; type 3 is refused by some.
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "ember-bench",
    "text.parse_math": False,
    "text.usetex": False,
    "axes.formatter.use_mathtext": False,
}
_INK: Final = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
_PAPER: Final = ("figure.facecolor", "axes.facecolor")
_NO_DATE: Final[dict[str, dict[str, None]]] = {
    "pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {},
}  # fmt: skip


@dataclass(frozen=True)
class Panel:
    """One chart of a figure.

    Attributes:
        title: Stands above it; empty for none.
        draw: Draws it; returns what is to be drawn once everything has its place, if anything.
        height: Inches; None for the usual ratio to its width.
        wide: Whether it takes the figure's whole width.
    """

    title: str
    draw: Callable[[Axes], Callable[[], None] | None]
    height: float | None = None
    wide: bool = False


def figure(panels: Sequence[Panel], width: Width, *, dark: bool = False) -> Figure:
    """Return the figure of these panels, side by side as far as there is room.

    Args:
        panels: The panels.
        width: Columns of a page.
        dark: Whether it is for a dark page.

    Raises:
        ConfigError: if matplotlib is not installed.
    """
    with _settings(dark=dark):
        from matplotlib.figure import Figure  # noqa: PLC0415 - heavy, and of an extra

        beside = 1 if width == "one" or any(panel.wide for panel in panels) else _MOST_BESIDE
        across = min(beside, len(panels))
        down = -(-len(panels) // across)
        inches = WIDTHS[width]
        # A lone chart of two columns would be high for what it shows.
        usual = min(_RATIO * inches / across, 3.2)
        heights = [
            max(panel.height or usual for panel in panels[row * across : (row + 1) * across])
            for row in range(down)
        ]
        # Text has its place at the resolution of files: at another one it is wider or narrower.
        made = Figure(figsize=(inches, sum(heights)), dpi=_DPI, layout="constrained")
        grid = made.subplots(down, across, squeeze=False, height_ratios=heights)
        places = list(grid.flat)
        later = []
        for panel, axes in zip(panels, places, strict=False):
            if panel.title:
                axes.set_title(one_line(panel.title), loc="left", fontweight="bold")
            later.append(panel.draw(axes))
        for axes in places[len(panels) :]:
            axes.remove()
        made.draw_without_rendering()
        made.set_layout_engine("none")
        for finish in later:
            if finish is not None:
                finish()
        return made


def drawn(made: Figure, form: str, *, dark: bool = False) -> bytes:
    """Return a figure as a file of one of `FORMATS`, the same bytes for the same figure."""
    file = BytesIO()
    with _settings(dark=dark):
        made.savefig(file, format=form, dpi=_DPI, metadata=_NO_DATE[form])
    return file.getvalue()


@contextmanager
def _settings(*, dark: bool) -> Iterator[None]:
    """Use our settings of matplotlib alone.

    Raises:
        ConfigError: if it is not installed.
    """
    try:
        import matplotlib as mpl  # noqa: PLC0415 - heavy, and of an extra
        from matplotlib.rcsetup import cycler  # noqa: PLC0415 - the same
    except ImportError:
        message = "figures are drawn by matplotlib: pip install 'ember-bench[plots]'"
        raise ConfigError(message) from None
    # It logs each font that it leaves out letters of.
    logging.getLogger("fontTools").setLevel(logging.ERROR)
    with mpl.rc_context(), warnings.catch_warnings():
        # A letter that the font has not is drawn as a box, and the text is in the CSV.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        mpl.rcdefaults()
        # The dark paper is that of GitHub's pages.
        ink, paper, grid = ("#E6E6E6", "#0D1117", "#30363D") if dark else ("k", "w", "#D9D9D9")
        colours = cycler(color=COLOURS_ON_DARK if dark else COLOURS)
        mpl.rcParams.update(_STYLE | dict.fromkeys(_INK, ink) | dict.fromkeys(_PAPER, paper))
        mpl.rcParams.update({"grid.color": grid, "axes.prop_cycle": colours})
        yield
