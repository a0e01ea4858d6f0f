"""PNG pictures of few colours: much smaller, and hard to tell from the original."""

import io

from PIL import Image

COLOURS = 128  # to which pictures are reduced


def few_colours(png: bytes) -> bytes:
    """The picture with a palette of at most 128 colours, on white where it was transparent.

    Where there are so few already they stay; else values move a little, by at most 24 of 255 in the notebooks' figures
    (maximum coverage; median cut takes the colour from a thin outline on grey, and moves it by 82). The same bytes
    always give the same bytes.
    """
    picture = Image.open(io.BytesIO(png))
    if picture.mode == "P":
        return png
    if picture.getbands()[-1] == "A":
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture.convert("RGBA"))
    reduced = picture.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    file = io.BytesIO()
    reduced.save(file, "PNG", optimize=True)
    return file.getvalue()


def has_at_most(colours: int, png: bytes) -> bool:
    return Image.open(io.BytesIO(png)).getcolors(colours) is not None
