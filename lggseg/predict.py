"""Somebody's own scan, from file to files: `python -m lggseg.predict SCAN --out DIR`.

SCAN is a patient's folder, a folder of pictures, one picture, or NIfTI.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from .colours import PREDICTION
from .data.own_scan import OwnScan, read_scan, write_nifti
from .errors import LggError
from .metrics import scores
from .postprocess import postprocess
from .segmenter import load_checkpoint, load_pretrained
from .shape import shape_features
from .viewer.overlay import blend, boundary


def write_results(scan: OwnScan, probability: np.ndarray, mask: np.ndarray, out: Path) -> pd.Series:
    """Write mask, probability and overlays of a scan into `out`; returns its measures, also in measures.csv.

    Per slice NAME: NAME_mask.png (0 and 255), NAME_probability.png (255 is 1), and NAME_overlay.png
    where something was found. NIfTI gives mask.nii.gz and probability.nii.gz besides.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name, pixels, p, m in zip(scan.names, scan.image, probability, mask):
        Image.fromarray(m.astype(np.uint8) * 255).save(out / f"{name}_mask.png")
        Image.fromarray(np.rint(255 * p).astype(np.uint8)).save(out / f"{name}_probability.png")
        if m.any():
            Image.fromarray(drawn(pixels, m)).save(out / f"{name}_overlay.png")
    if scan.affine is not None:
        write_nifti(mask.astype(np.uint8), scan.affine, out / "mask.nii.gz")
        write_nifti(probability, scan.affine, out / "probability.nii.gz")
    measures = {"slices": len(mask), "tumour_slices": int(mask.any((1, 2)).sum()), "tumour_voxels": int(mask.sum()),
                **shape_features(mask), **(scores(mask, scan.truth) if scan.truth is not None else {})}
    pd.DataFrame([measures]).to_csv(out / "measures.csv", index=False)
    return pd.Series(measures)


def drawn(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """FLAIR of a slice uint8 (H,W,3) with the outline of a mask (H,W) in colour, uint8 (H,W,3)."""
    picture = np.repeat(pixels[..., 1:2], 3, axis=2)
    blend(picture, boundary(mask).astype(np.float32), PREDICTION)
    return picture


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m lggseg.predict", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scan", type=Path, help="folder of slices, one picture, or .nii.gz")
    parser.add_argument("--out", type=Path, required=True, help="folder for what is found")
    parser.add_argument("--weights", default="kaggle", help="kaggle, phantom, or a checkpoint's path")
    parser.add_argument("--device", help="cpu or cuda; the GPU if there is one")
    args = parser.parse_args(argv)
    try:
        model = (load_checkpoint if Path(args.weights).suffix == ".pt" else load_pretrained)(args.weights)
        scan = read_scan(args.scan)
        probability = model.probability(scan.image, args.device)
        mask = postprocess(probability, model.recipe.threshold, model.recipe.min_component_share)
        measures = write_results(scan, probability, mask, args.out)
    except LggError as error:
        sys.exit(f"error: {error}")
    print(" ".join(f"{name}={value:.4g}" for name, value in measures.items()))


if __name__ == "__main__":
    main()
