"""What SimpleITK reads: NRRD and MetaImage, and the pixels of DICOM."""

import os
import re
import tempfile
import zlib
from pathlib import Path

import numpy as np
import SimpleITK

from ..errors import LggError
from .grid import Grid
from .own_scan import NO_PLACE, OwnScan, check_size, reading


def read_itk(path: Path) -> OwnScan:
    """Axial slices of an NRRD or MetaImage file with one or several channels.

    Raises LggError where it is damaged, has other axes, or lies nowhere.
    """
    with reading(path, "NRRD or MetaImage"):
        compare_checksum(path)
        image, printed = read_image(path)
        if printed:
            raise OSError(printed)
        values = SimpleITK.GetArrayFromImage(image)
        size = image.GetSize()
        if len(size) == 4 and values.ndim == 4:  # a list of volumes
            values = np.moveaxis(values, 0, -1)
        elif len(size) != 3:
            raise LggError(f"its shape is {size}; it must be (X,Y,Z), or several of these")
        check_size(*values.shape, dtype=values.dtype)
        directions = np.reshape(image.GetDirection(), (len(size), -1))[:3, :3]
        affine = np.eye(4)
        affine[:3, :3] = directions * image.GetSpacing()[:3]
        affine[:3, 3] = image.GetOrigin()[:3]
        affine[:2] *= -1  # ITK counts towards left and back, NIfTI towards right and front
        grid = Grid(size[:3], affine)
        nrrd = image.GetMetaData("ITK_InputFilterName") == "NrrdImageIO"
        space = image.GetMetaData("NRRD_space") if image.HasMetaDataKey("NRRD_space") else ""
        by_itk = len(size) == 4 and image.HasMetaDataKey(
            "NRRD_kinds[3]"
        )  # it names three axes alone
        if nrrd and "superior" not in space and not by_itk:
            raise LggError(NO_PLACE)
    return OwnScan(grid.to_slices(values.swapaxes(0, 2).reshape(*grid.shape, -1)), grid=grid)


def compare_checksum(path: Path) -> None:
    """Raise zlib.error where compressed data are not whole, which SimpleITK does not always see."""
    content = path.read_bytes()
    if not re.search(rb"CompressedData *= *True|encoding: *gz", content[:5000]):
        return
    end = re.search(rb"(?:ElementDataFile *= *|data *file: *)(.*)\r?\n|\r?\n\r?\n", content)
    data = content[end.end() :] if end else b""
    if end and end[1] and end[1].strip() != b"LOCAL":
        data = (path.parent / os.fsdecode(end[1].strip())).read_bytes()
    zlib.decompress(data, wbits=47)  # of gzip or zlib


def read_image(path: Path) -> tuple[SimpleITK.Image, str]:
    """The image in a file, checked for its size before, and what SimpleITK's C++ code prints."""
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as printed:
        os.dup2(printed.fileno(), 2)
        try:
            reader.ReadImageInformation()
            check_size(*reader.GetSize(), reader.GetNumberOfComponents())
            image = reader.Execute()
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
        printed.seek(0)
        return image, printed.read().decode(errors="replace")
