"""The command `python -m lggseg.predict`, from files to files."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from lggseg.model.segmenter import Segmenter
from lggseg.predict import main
from lggseg.prepare.network_grid import GridSpec
from lggseg.scans.read import RESULTS
from lggseg.unet import UNet


def head(shape=(3, 40, 48), seed=0) -> np.ndarray:
    """Noise 100..255 in a box with black air around it."""
    volume = np.zeros(shape, np.uint8)
    inner = tuple(slice(n // 5, n - n // 5) for n in shape[1:])
    volume[:, *inner] = np.random.default_rng(seed).integers(100, 256, volume[:, *inner].shape)
    return volume


def network(threshold: float = 0.0, patients=()) -> Segmenter:
    """A small untrained network; at threshold 0 everything is tumour, so that every file is
    written.
    """
    torch.manual_seed(0)
    recipe = GridSpec(32, block=1, threshold=threshold)
    return Segmenter(UNet(features=4, depth=3), recipe, [patients] if patients else ()).eval()


@pytest.fixture
def weights(tmp_path):
    return str(network().save(tmp_path / "net.pt"))


@pytest.fixture
def slices(tmp_path):
    """A folder with three slices of three sequences."""
    (tmp_path / "scan").mkdir()
    for k, pixels in enumerate(np.stack([head(seed=s) for s in range(3)], axis=3), 1):
        Image.fromarray(pixels).save(tmp_path / "scan" / f"s_{k}.png")
    return tmp_path / "scan"


def command(*words, code=2) -> None:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    assert stop.value.code == code


def test_a_patients_folder(phantom_cohort, weights, tmp_path, capsys):
    folder = phantom_cohort.root / phantom_cohort.slices.image[0].split("/")[0]
    main([str(folder), "--out", str(tmp_path / "out"), "--weights", weights])
    told, table = capsys.readouterr(), pd.read_csv(tmp_path / "out" / "measures.csv")
    depth = int(phantom_cohort.summary.slices.iloc[0])
    assert f"slices={depth}" in told.out and "expected_dice=" in told.out
    assert told.out.endswith("networks that judged together: 1\n")
    assert told.err.startswith("warning: the mask is larger than the head\n")
    assert {"expected_dice", "low", "high"} <= {*table}
    assert table.warnings[0].startswith("the mask is larger than the head; ")
    assert (
        table.tumour_voxels[0] == depth * 256 * 256
        and 0 < table.dice[0] < 0.1
        and not table.seen[0]
    )
    for kind in ("mask", "probability", "overlay"):
        assert len([*(tmp_path / "out").glob(f"*_{kind}.png")]) == depth
    assert set(np.unique(Image.open(next((tmp_path / "out").glob("*_1_mask.png"))))) == {255}


def test_one_grey_picture_and_nothing_found(tmp_path, capsys):
    Image.fromarray(head()[0]).save(tmp_path / "flair.png")
    weights = network(threshold=1.0).save(tmp_path / "net.pt")
    main([str(tmp_path / "flair.png"), "--out", str(tmp_path / "out"), "--weights", str(weights)])
    told = capsys.readouterr()
    assert "tumour_voxels=0" in told.out and told.err.startswith(
        "warning: no pre-contrast T1 and no post-contrast T1;"
    )
    assert "warning: no tumour was found" in told.err and "expected_dice=0 " in told.out
    assert np.asarray(Image.open(tmp_path / "out" / "flair_mask.png")).shape == (40, 48)


@pytest.mark.parametrize("code", ["RAS", "LPS", "PIR", "ASR", "SLA"])
def test_nifti_comes_back_on_its_own_grid(tmp_path, weights, code):
    nibabel = pytest.importorskip("nibabel")
    image = nibabel.Nifti1Image(head((6, 40, 48)).T, np.diag([3, 2.5, 15, 1.0]))
    image = image.as_reoriented(
        nibabel.orientations.ornt_transform(
            nibabel.orientations.axcodes2ornt("RAS"), nibabel.orientations.axcodes2ornt(code)
        )
    )
    image.set_qform(image.affine, 1)
    image.set_sform(image.affine, 2)
    nibabel.save(image, tmp_path / "flair.nii.gz")
    main([str(tmp_path), "--out", str(tmp_path.parent / f"out{code}"), "--weights", weights])
    for name, dtype in (("mask", np.uint8), ("probability", np.float32)):
        found = nibabel.load(tmp_path.parent / f"out{code}" / f"{name}.nii.gz")
        assert found.shape == image.shape and found.get_data_dtype() == dtype
        np.testing.assert_array_equal(found.affine, image.affine)
        assert (found.header["qform_code"], found.header["sform_code"]) == (1, 2)


def test_dicom_gives_nifti_in_the_patients_space(tmp_path, weights, capsys):
    nibabel = pytest.importorskip("nibabel")
    pytest.importorskip("pydicom")
    from scans.test_dicom import write_series

    spacing = {"PixelSpacing": [3.0, 2.5]}
    write_series(
        tmp_path / "a" / "flair", head((6, 40, 48)).astype(np.uint16) * 9, "1.2.1", 15, **spacing
    )
    write_series(
        tmp_path / "a" / "t1", head((6, 40, 48), 1).astype(np.uint16), "1.2.2", 15, **spacing
    )
    command(tmp_path / "a", "--out", tmp_path / "out", "--weights", weights)
    assert "1 = without a name (6 pictures, 1.2.1); 2 = " in capsys.readouterr().err
    main(
        [
            str(tmp_path / "a"),
            "--series",
            "1,2",
            "--order",
            "flair,t1",
            "--out",
            str(tmp_path / "out"),
            "--weights",
            weights,
        ]
    )
    found = nibabel.load(tmp_path / "out" / "mask.nii.gz")
    assert found.shape == (48, 40, 6) and found.header.get_xyzt_units()[0] == "mm"
    np.testing.assert_array_equal(found.affine, np.diag([-2.5, -3, 15, 1.0]))
    assert (tmp_path / "out" / "slice_6_mask.png").exists()


def test_separate_sequences_and_a_missing_one(tmp_path, weights, capsys):
    for seed, name in enumerate(("flair", "post")):
        Image.fromarray(head(seed=seed)[0]).save(tmp_path / f"{name}.png")
    main(
        [
            "--flair",
            str(tmp_path / "flair.png"),
            "--post",
            str(tmp_path / "post.png"),
            "--out",
            str(tmp_path / "out"),
            "--weights",
            weights,
        ]
    )
    assert "warning: no pre-contrast T1; FLAIR stands in" in capsys.readouterr().err
    command(
        "--flair", tmp_path / "flair.png", "--post", tmp_path / "nowhere", "--out", tmp_path / "out"
    )


@pytest.mark.parametrize(
    "words",
    [
        ["--out", "o"],
        ["scan", "--flair", "f", "--out", "o"],
        ["scan", "--pre", "p", "--out", "o"],
        ["scan"],
        ["--flair", "f", "--order", "flair", "--out", "o"],
        ["--flair", "f", "--series", "1", "--out", "o"],
    ],
)
def test_options_that_contradict_each_other(words, capsys):
    command(*words)
    assert "error: " in capsys.readouterr().err


def test_errors_are_one_line_and_code_2(tmp_path, weights, capsys):
    command(tmp_path / "no\nwhere", "--out", tmp_path / "out", "--weights", weights)
    told = capsys.readouterr()
    assert (
        told.out == ""
        and told.err.count("\n") == 1
        and "no where: no such file or folder" in told.err
    )
    assert told.err.startswith("error: ") and not (tmp_path / "out").exists()
    command(tmp_path, "--out", tmp_path / "out", "--weights", "nobodys")
    assert "no pretrained weights called 'nobodys'" in capsys.readouterr().err


def test_the_scan_is_never_harmed(slices, weights, capsys):
    Image.fromarray(np.full((40, 48), 255, np.uint8)).save(slices / "s_1_mask.png")
    before = {file.name: file.read_bytes() for file in slices.iterdir()}
    command(slices, "--out", slices, "--weights", weights)
    assert "2 of 3 slices have no mask" in capsys.readouterr().err
    for k in (2, 3):
        (slices / f"s_{k}_mask.png").write_bytes(before["s_1_mask.png"])
    before = {file.name: file.read_bytes() for file in slices.iterdir()}
    for scan, out in ((slices, slices), (slices / "s_1.png", slices), (slices, slices.parent)):
        command(scan, "--out", out, "--weights", weights)
        assert "holds the scan" in capsys.readouterr().err
    assert {file.name: file.read_bytes() for file in slices.iterdir()} == before


def test_it_is_checked_that_results_can_be_written_before_predicting(
    slices, weights, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        Segmenter, "member_probabilities", lambda *_, **__: pytest.fail("predicted in vain")
    )
    (tmp_path / "file").write_text("in the way")
    command(slices, "--out", tmp_path / "file", "--weights", weights)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "s_2_mask.png").write_text("by hand")
    command(slices, "--out", tmp_path / "out", "--weights", weights)
    command(slices, "--out", tmp_path / "out", "--overwrite", "--weights", weights)


def test_results_of_an_earlier_run_go(slices, weights, tmp_path):
    run = ["--out", str(tmp_path / "out"), "--weights", weights]
    main([str(slices), *run])
    assert (tmp_path / "out" / "s_3_overlay.png").exists()
    command(slices / "s_1.png", *run)  # the folder is not empty
    main([str(slices / "s_1.png"), *run, "--overwrite"])
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        RESULTS,
        "measures.csv",
        "s_1_mask.png",
        "s_1_overlay.png",
        "s_1_probability.png",
    ]
    # Results are no scan.
    command(tmp_path / "out", "--out", tmp_path / "again", "--weights", weights)


def test_another_sequence_in_flairs_place_is_told(slices, weights, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("lggseg.scans.channels.odd_sequence", lambda image, head: 0)
    main([str(slices), "--out", str(tmp_path / "out"), "--weights", weights])
    assert (
        "warning: the channel taken as pre-contrast T1 looks like FLAIR" in capsys.readouterr().err
    )


def test_a_training_patient_is_told_beside_the_score(slices, tmp_path, capsys):
    slices.rename(tmp_path / "TCGA_CS_4941_19960909")
    weights = network(patients=["TCGA_CS_4941"]).save(tmp_path / "net.pt")
    main(
        [
            str(tmp_path / "TCGA_CS_4941_19960909"),
            "--out",
            str(tmp_path / "out"),
            "--weights",
            str(weights),
        ]
    )
    assert "trained on TCGA_CS_4941: better than on a new patient" in capsys.readouterr().out
    assert pd.read_csv(tmp_path / "out" / "measures.csv").seen[0]


def test_help_explains_every_option(capsys):
    command("--help", code=0)
    told = " ".join(capsys.readouterr().out.split())
    for words in (
        "never the scan's own",
        "flair,t1,t1ce",
        "series of a DICOM folder",
        "real patients",
        "the GPU if CUDA sees one",
        "--overwrite",
        "FLAIR alone",
        "before contrast agent",
        "after contrast agent",
    ):
        assert words in told


def test_neither_matplotlib_nor_widgets_are_loaded():
    code = (
        "import sys, lggseg.predict; print(sorted({'matplotlib', 'ipywidgets'} & "
        "sys.modules.keys()))"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout == "[]\n"
