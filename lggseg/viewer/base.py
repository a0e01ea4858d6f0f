"""What the viewers share: each step sends one small JPEG to a plain ipywidgets Image.

Redrawing a matplotlib figure costs 90 to 230 ms a step and flickers; composing the slice in numpy and
encoding it with Pillow costs a few milliseconds. Core ipywidgets only, so 7.7.1 (Colab) and 8 both do.
`make bench` measures a step.
"""

import html
import textwrap
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import ipywidgets as widgets
import numpy as np

from ..errors import LggError
from .overlay import encode

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Viewer(widgets.VBox):
    """What the viewers share: a picture under a title, drawn again when a control changes, and `close`."""

    parts: tuple[widgets.Widget, ...] = ()  # every widget inside
    note = ""  # a line under the title
    picture: widgets.Image
    title: widgets.HTML

    def __init__(self, width: int):
        if not (isinstance(width, int) and 16 <= width <= 4096):
            raise LggError(f"width is {width!r}; it is a whole number of pixels, from 16 to 4096")
        self.width, self._quiet, self._lock = width, False, threading.RLock()
        self.title = widgets.HTML(layout=wide())
        self.picture = widgets.Image(format="jpeg", layout=widgets.Layout(
            flex="10 1 240px", min_width="0", max_width=f"{width}px", height="auto", align_self="flex-start"))
        super().__init__(layout=widgets.Layout(width="100%", max_width=f"{width + 330}px"))

    def render(self) -> np.ndarray:
        """The picture now on show, uint8 (H,W,3) or (H,W)."""
        raise TypeError(f"{type(self).__name__} does not say what to draw")

    def caption(self) -> str:
        """The title in plain words."""
        return ""

    def legend(self) -> dict[str, str]:
        """Colour of everything drawn over the picture, by its name in words."""
        return {}

    @contextmanager
    def _one_redraw(self):
        """Let several controls change, then draw once; no other thread draws meanwhile."""
        with self._lock:
            self._quiet = True
            try:
                yield
            finally:
                self._quiet = False
            self._redraw()

    def _redraw(self, _change=None) -> None:
        with self._lock:
            if self._quiet:
                return
            self.picture.value = encode(self.render())
            marks = [f'<span style="color:{colour}">&#9632;</span> {name}' for name, colour in self.legend().items()]
            lines = [" &nbsp; ".join([f"<b>{html.escape(self.caption())}</b>", *marks])]
            if self.note:
                lines.append(html.escape(self.note))
            self.title.value = "<br>".join(lines)

    def figure(self) -> "Figure":
        """The view now on show as a matplotlib Figure, with title and legend, for paper and for GitHub."""
        from matplotlib.figure import Figure  # here, so that a viewer costs no matplotlib until it is printed
        from matplotlib.patches import Patch

        figure = Figure(figsize=(5, 5.4), facecolor="white", layout="constrained")
        axes = figure.add_subplot()
        axes.imshow(self.render(), cmap="gray")
        axes.set_title("\n".join([self.caption(), *textwrap.wrap(self.note, 80)]), fontsize=9)
        axes.axis("off")
        handles = [Patch(color=colour, label=name) for name, colour in self.legend().items()]
        if handles:
            figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
        return figure

    def close(self) -> None:
        """Detach all observers and close every widget; the arrays stay."""
        for widget in self.parts:
            widget.unobserve_all()
            widget.close()
        super().close()


def wide() -> widgets.Layout:
    """A layout that takes the width there is; each control needs its own, since hiding one changes it."""
    return widgets.Layout(width="auto", min_width="0")


def row(*children: widgets.Widget) -> widgets.HBox:
    """Children side by side, below each other where the page is narrow."""
    return widgets.HBox(children, layout=widgets.Layout(width="100%", flex_flow="row wrap", align_items="flex-start"))
