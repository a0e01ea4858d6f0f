"""PNG pictures of at most 256 colours: less than half the size for the notebooks' figures, and hardly a difference."""

import io

from PIL import Image

MAX_COLOURS = 256


def few_colours(png: bytes) -> bytes:
    """The picture with a palette of at most 256 colours, on white where it was transparent.

    Where there are so few already they stay; else values move a little, by at most 16 of 255 in the notebooks' figures
    (maximum coverage; median cut takes the colour from a thin outline on grey, and moves it by 89). The same bytes
    always give the same bytes.
    """
    picture = Image.open(io.BytesIO(png))
    if picture.mode == "P":
        return png
    if picture.getbands()[-1] == "A":
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture.convert("RGBA"))
    reduced = picture.convert("RGB").quantize(MAX_COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    file = io.BytesIO()
    reduced.save(file, "PNG", optimize=True)
    return file.getvalue()


def has_few_colours(png: bytes) -> bool:
    return Image.open(io.BytesIO(png)).getcolors(MAX_COLOURS) is not None
