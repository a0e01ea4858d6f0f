"""Pictures that Pillow would read as something else without a word."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from lggseg.data.folder import read_mask
from lggseg.errors import LggError
from lggseg.scans.picture_file import read_slices


def rotten_png(path, pixels):
    """A PNG one byte of whose pixels changed on the disk, of which only the chunk's checksum tells;
    stored plainly.
    """
    Image.fromarray(pixels).save(path, compress_level=0)
    content = bytearray(path.read_bytes())
    # Before IEND's length, IDAT's checksum and zlib's: the last pixel.
    place = content.rindex(b"IEND") - 4 - 4 - 4 - 1
    content[place] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize(
    "read", [read_slices, lambda path: read_slices(path, mask=True), read_mask]
)
def test_a_png_that_differs_from_its_checksum_is_refused(tmp_path, read):
    rotten_png(tmp_path / "a.png", np.zeros((6, 8), np.uint8))
    with pytest.raises(LggError, match=r"a\.png.*cannot be read.*checksum"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.int32, np.float32])
def test_bytes_are_swapped_once(tmp_path, dtype, compression, order):
    pixels = np.random.default_rng(0).integers(
        -20_000 if np.dtype(dtype).kind != "u" else 0, 20_000, (2, 6, 8)
    )
    with tifffile.TiffWriter(tmp_path / "a.tif", byteorder=order) as file:
        for page in pixels.astype(dtype):
            file.write(page, compression=compression, metadata=None, contiguous=False)
    np.testing.assert_array_equal(np.stack(read_slices(tmp_path / "a.tif")), pixels)
