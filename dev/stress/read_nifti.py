"""NIfTI files in any orientation, plain or compressed."""

from pathlib import Path

import numpy as np

from lggseg.scans.nifti import read_nifti

from .damage import damage_bytes, read_by


def read_nifti_file(rng: np.random.Generator, place: Path) -> str | None:
    """NIfTI files."""
    import nibabel  # here: without it there is nothing to read, and the other readers go on

    path = place / f"scan.nii{rng.choice(['', '.gz'])}"
    shape = (
        *map(int, rng.integers(2, 14, 3)),
        *([int(rng.integers(2, 4))] if rng.random() < 0.2 else []),
    )
    values = rng.integers(0, 200, shape).astype(
        str(rng.choice(["uint8", "int16", "uint16", "float32", "float64"]))
    )
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[rng.permutation(3)] * rng.choice([-1, 1], 3) * rng.uniform(0.5, 3, 3)
    image = (nibabel.Nifti1Image if rng.random() < 0.7 else nibabel.Nifti2Image)(values, affine)
    nibabel.save(image, path)
    if spoilt := rng.random() < 0.5:
        path.write_bytes(damage_bytes(path.read_bytes(), rng))
    found = np.asarray(read_by(read_nifti, path, whole=not spoilt).image)
    if found.ndim != 4 or found.dtype.kind not in "iuf":
        return f"a scan of {found.dtype} {found.shape}"
    if spoilt and path.suffix != ".gz":  # nothing in it tells whether a voxel was changed
        return None
    right = np.asarray(nibabel.as_closest_canonical(image).dataobj)  # towards right, front, top
    right = (right if right.ndim == 4 else right[..., None])[::-1, ::-1].transpose(2, 1, 0, 3)
    if not np.array_equal(found, right):
        return (
            f"a {'damaged' if spoilt else 'whole'} {path.name} of {values.dtype} {shape} was read "
            "as something else"
        )
