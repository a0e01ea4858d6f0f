"""Find the tumour in your own scan: masks, probabilities, overlays and measures, from one command.

SCAN is a folder of pictures (one per axial slice), a picture, a TIFF of several pages, a NIfTI,
NRRD or MetaImage file, or a DICOM series. One channel is FLAIR; three are pre-contrast T1, FLAIR,
post-contrast T1, unless --order says otherwise. Sequences in files of their own are given by
--flair, --pre and --post.

Found for each slice NAME, on its own pixels: NAME_mask.png (255 is tumour), NAME_probability.png
(255 is certain), and NAME_overlay.png, FLAIR with the outline, where there is tumour. A scan that
tells where it lies also gives mask.nii.gz and probability.nii.gz on its own grid. measures.csv
holds size and shape, the Dice to be expected of the mask (expected_dice; four in five lie from low
to high) with warnings, and the scores where masks lie beside the slices. Not a medical device.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd

from .errors import LggError
from .model.segmenter import load_checkpoint, load_pretrained
from .scans.read import read_scan, read_sequences
from .scans.segment import measure, segment_scan, trained_on
from .scans.write import check_place, result_files, result_names, write_results

OPTIONS = {  # name: what it takes, what it is for
    "--flair": ("PATH", "FLAIR alone: a file or folder as SCAN, with one channel"),
    "--pre": ("PATH", "T1 before contrast agent, on FLAIR's voxels (with --flair)"),
    "--post": ("PATH", "T1 after contrast agent, on FLAIR's voxels (with --flair)"),
    "--order": (
        "NAMES",
        "which channel of SCAN is which sequence, such as flair,t1,t1ce: pre (or t1), flair, post "
        "(or t1ce), and skip (or t2) for what is not used; FLAIR stands in for a missing one "
        "(default: pre,flair,post, or flair for one channel)",
    ),
    "--series": (
        "NUMBERS",
        "which series of a DICOM folder, by its number in the list that is printed without this "
        "option, or by its UID; several with commas, each a channel of --order",
    ),
    "--device": ("NAME", "where to compute: cpu, cuda or mps (default: the GPU if CUDA sees one)"),
}
EXAMPLES = """examples:
  python -m lggseg.predict slices/ --out found
  python -m lggseg.predict scan.nii.gz --order flair,t1,t1ce,t2 --out found
  python -m lggseg.predict --flair flair.nii.gz --pre t1.nii.gz --post t1ce.nii.gz --out found
  python -m lggseg.predict dicom/ --series 3 --out found
"""


def run(args: argparse.Namespace) -> None:
    """What the command does."""
    sources = [Path(path) for path in (args.scan, args.flair, args.pre, args.post) if path]
    is_file = args.weights.endswith(".pt") or Path(args.weights).is_file()
    model = load_checkpoint(args.weights) if is_file else load_pretrained(args.weights)
    if args.scan:
        scan = read_scan(args.scan, args.order, args.series)
    else:
        scan = read_sequences(args.flair, args.pre, args.post)
    for warning in scan.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    check_place(args.out, sources, result_names(scan), args.overwrite)
    found = segment_scan(model, scan, args.device)
    for warning in found.trust.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    measures = pd.concat(
        [measure(scan, found.probability, found.mask), pd.Series(found.trust.columns())]
    )
    numbers = measures.drop("warnings")
    line = " ".join(f"{name}={value:.4g}" for name, value in numbers.items())
    patient = trained_on(model, sources)
    measures["seen"] = patient is not None
    write_results(result_files(scan, found.probability, found.mask, measures), args.out)
    if patient:
        line += f" (these weights were trained on {patient}: better than on a new patient)"
    print(line)
    print(f"networks that judged together: {len(model.networks)}")


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser("python -m lggseg.predict", None, __doc__, EXAMPLES)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    scan = "the scan, where all its sequences lie in one place"
    parser.add_argument("scan", nargs="?", metavar="SCAN", help=scan)
    out = (
        "folder for what is found: a new or empty one, and never the scan's own (but see "
        "--overwrite)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help=out)
    overwrite = "replace what an earlier run wrote into DIR; nothing else in it is touched"
    parser.add_argument("--overwrite", action="store_true", help=overwrite)
    weights = (
        "trained network: kaggle (real patients) or phantom, as they come with the package, or the "
        "path of a checkpoint (default: kaggle)"
    )
    parser.add_argument("--weights", default="kaggle", metavar="NAME", help=weights)
    for name, (takes, words) in OPTIONS.items():
        parser.add_argument(name, metavar=takes, help=words)
    return parser


def main(argv: list[str] | None = None) -> None:
    options = parser()
    args = options.parse_args(argv)
    if bool(args.scan) == bool(args.flair):
        options.error("give either SCAN or --flair")
    if args.scan and (args.pre or args.post):
        options.error("--pre and --post go with --flair, not with SCAN")
    if args.flair and (args.order or args.series):
        options.error("--order and --series go with SCAN, not with --flair")
    try:
        run(args)
    except LggError as error:
        options.exit(2, f"error: {' '.join(str(error).splitlines())}\n")


if __name__ == "__main__":
    main()
