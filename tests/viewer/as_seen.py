"""What the page sees of a viewer, without a page."""

import io
import sys

import ipywidgets as widgets
import numpy as np
from PIL import Image


def pixels(viewer) -> np.ndarray:
    """The picture as the browser decodes it."""
    return np.asarray(Image.open(io.BytesIO(viewer.picture.value))).astype(int)


def from_page(widget, value) -> None:
    """What the page sends when the reader moves a control."""
    data = {"method": "update", "state": {"value": value}, "buffer_paths": []}
    widget._handle_msg({"content": {"data": data}, "metadata": {}, "buffers": []})


def all_widgets() -> dict:
    module = sys.modules[widgets.Widget.__module__]
    return dict(getattr(module, "_instances", None) or widgets.Widget.widgets)  # 8 or 7
