"""PNG pictures of few colours: much smaller, and hard to tell from the original."""

import io

import numpy as np
from PIL import Image

COLOURS = 128  # to which pictures are reduced
GREYS = 24  # kept for greys among them: more would keep a scan's noise, and make its file larger


def few_colours(png: bytes) -> bytes:
    """The picture with a palette of at most 128 colours, on white where it was transparent.

    Where there are so few already they stay; else values move a little, by at most 26 of 255 in the
    notebooks' figures. Grey stays grey: a part of the palette is its own, and what colours leave
    over. The same bytes always give the same bytes.
    """
    picture = Image.open(io.BytesIO(png))
    if picture.mode == "P":
        return png
    if picture.getbands()[-1] == "A":
        picture = Image.alpha_composite(
            Image.new("RGBA", picture.size, "white"), picture.convert("RGBA")
        )
    pixels = np.asarray(picture.convert("RGB"))
    grey = np.ptp(pixels, axis=-1) == 0
    greys, others = (len(np.unique(pixels[kind], axis=0)) for kind in (grey, ~grey))
    share = min(greys, max(GREYS, COLOURS - others))
    numbers = np.zeros(grey.shape, np.uint8)
    palette = []
    for kind, colours in ((grey, share), (~grey, min(others, COLOURS - share))):
        if colours:
            numbers[kind], chosen = reduced(pixels[kind], colours)
            numbers[kind] += len(palette) // 3
            palette += chosen
    few = Image.fromarray(numbers)
    file = io.BytesIO()
    few.putpalette(palette)
    few.save(file, "PNG", optimize=True)
    return file.getvalue()


def reduced(pixels: np.ndarray, colours: int) -> tuple[np.ndarray, list[int]]:
    """The number of its colour for each of the pixels (n, 3), and the colours: r, g, b, r, g, b,
    ...

    By maximum coverage: median cut takes the colour from a thin outline on grey, and moves it by
    82.
    """
    few = Image.fromarray(pixels[None]).quantize(
        colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
    )
    return np.asarray(few)[0], few.getpalette()[: 3 * colours]


def has_at_most(colours: int, png: bytes) -> bool:
    return Image.open(io.BytesIO(png)).getcolors(colours) is not None
