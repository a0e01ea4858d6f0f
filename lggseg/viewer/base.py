"""What the viewers share: each step sends one small JPEG to a plain ipywidgets Image.

Redrawing a matplotlib figure takes 90 to 230 ms a step and flickers. Composing the slice in NumPy
and encoding it with Pillow takes a few milliseconds; `make bench` measures it. Only core ipywidgets
are used, so that versions 7.7.1 (Colab) and 8 both work.
"""

import html
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np

from ..errors import LggError
from .overlay import encode

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Viewer(widgets.VBox):
    """A picture under a title, drawn again when a control changes.

    A viewer of its own kind says what to draw (`render`), its title (`caption`) and its colours
    (`legend`), and lists its widgets in `parts`.

    Parameters
    ----------
    width : int
        Of the picture, 16 to 4096 CSS pixels.

    Attributes
    ----------
    picture : Image
        JPEG bytes are in its ``value``.
    title : HTML
    parts : tuple of Widget
        Every widget inside.
    note : str
        A line under the title; none if empty.
    """

    parts: tuple[widgets.Widget, ...] = ()
    picture: widgets.Image
    title: widgets.HTML
    note = ""

    def __init__(self, width: int):
        if not (isinstance(width, int) and 16 <= width <= 4096):
            raise LggError(f"width is {width!r}; it is a whole number of pixels, from 16 to 4096")
        self.width = width
        self._quiet = False
        self._lock = threading.RLock()
        self.title = widgets.HTML(layout=wide())
        layout = widgets.Layout(
            flex="10 1 240px",
            min_width="0",
            max_width=f"{width}px",
            height="auto",
            align_self="flex-start",
        )
        self.picture = widgets.Image(format="jpeg", layout=layout)
        super().__init__(layout=widgets.Layout(width="100%", max_width=f"{width + 330}px"))

    def render(self) -> np.ndarray:
        """The picture that is shown now, uint8 (height, width, 3) or (height, width)."""
        raise TypeError(f"{type(self).__name__} does not say what to draw")

    def caption(self) -> str:
        """The title in plain words."""
        return ""

    def legend(self) -> dict[str, str]:
        """Name and colour of everything that is drawn over the picture."""
        return {}

    @contextmanager
    def _one_redraw(self) -> Iterator[None]:
        """For a block that changes several controls: draw once at its end, in this thread only."""
        with self._lock:
            self._quiet = True
            try:
                yield
            finally:
                self._quiet = False
            self._redraw()

    def _redraw(self, _change: Any = None) -> None:
        with self._lock:
            if self._quiet:
                return
            self.picture.value = encode(self.render())
            words = [f"<b>{html.escape(self.caption())}</b>"]
            for name, colour in self.legend().items():
                words.append(f'<span style="color:{colour}">&#9632;</span> {name}')
            lines = [" &nbsp; ".join(words)]
            if self.note:
                lines.append(html.escape(self.note))
            # Lines of a widget's text are far apart; so the viewer fits a screen of 700 pixels.
            self.title.value = f'<div style="line-height: 1.15">{"<br>".join(lines)}</div>'

    def figure(self) -> "Figure":
        """The present view as a matplotlib figure, with title and legend, for paper and GitHub."""
        # Imported here, so that a viewer does not load matplotlib before a figure is asked for.
        from matplotlib.figure import Figure
        from matplotlib.patches import Patch

        figure = Figure(figsize=(5, 5.4), facecolor="white", layout="constrained")
        axes = figure.add_subplot()
        axes.imshow(self.render(), cmap="gray")
        lines = [self.caption(), *textwrap.wrap(self.note, 80)]
        axes.set_title("\n".join(lines), fontsize=9)
        axes.axis("off")
        handles = [Patch(color=colour, label=name) for name, colour in self.legend().items()]
        if handles:
            figure.legend(
                handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=9
            )
        return figure

    def close(self) -> None:
        """Detach all observers and close every widget; the arrays stay."""
        for widget in self.parts:
            widget.unobserve_all()
            widget.close()
        super().close()


def wide() -> widgets.Layout:
    """A layout that takes all of the width. Each control needs its own: hiding one changes it."""
    return widgets.Layout(width="auto", min_width="0")


def row(*children: widgets.Widget) -> widgets.HBox:
    """Widgets side by side, or below each other where the page is narrow."""
    layout = widgets.Layout(width="100%", flex_flow="row wrap", align_items="flex-start")
    return widgets.HBox(children, layout=layout)
