"""The cohort: its tables, its volumes, and how it is asked for."""

import numpy as np
import pandas as pd
import pytest
from small_cohort import FIRST, SECOND, write_patient, write_row

from lggseg.data.cohort import load_cohort, open_cohort
from lggseg.errors import LggError


def test_cohort_as_written(root, capsys):
    cohort = open_cohort(root, progress=False)
    assert capsys.readouterr().out == "LGG MRI cohort, 2 patients, 16 slices\n"
    assert cohort.kind == "kaggle" and cohort.patients == ["TCGA_CS_4941", "TCGA_HT_A61B"]
    for patient, folder, depth, seed in (
        ("TCGA_CS_4941", FIRST, 12, 0),
        ("TCGA_HT_A61B", SECOND, 4, 1),
    ):
        image, mask = write_patient(root / "again", folder, depth, seed=seed)
        volume = cohort.volume(patient)
        assert volume.image.dtype == np.uint8 and np.array_equal(volume.image, image)
        assert volume.mask.dtype == bool and np.array_equal(volume.mask, mask)
        assert volume.patient == patient and volume.missing == ()
    assert cohort.summary.loc["TCGA_CS_4941"].tolist() == ["CS", 12, 2, 25, False, False]


def test_an_id_that_begins_another_id(root):
    write_row(root, "TCGA_CS_494")
    # Before 4941 by id, after it by folder.
    image, mask = write_patient(root, "TCGA_CS_494_20000101", depth=5, seed=2)
    volume = load_cohort(root, progress=False).volume("TCGA_CS_494")
    assert np.array_equal(volume.image, image) and np.array_equal(volume.mask, mask)


def test_phantoms_say_so(phantom_cohort):
    assert phantom_cohort.kind == "phantom" and len(phantom_cohort.patients) == 8
    assert phantom_cohort.label == "PHANTOM cohort (synthetic), 8 patients"
    assert phantom_cohort.volume(phantom_cohort.patients[0]).image.shape[1:] == (256, 256, 3)


def test_unknown_patients_get_a_hint(root):
    cohort = load_cohort(root, progress=False)
    with pytest.raises(
        LggError, match="'TCGA_CS_4941_19960909'.*has no date, such as TCGA_CS_4941"
    ):
        cohort.volume(FIRST)
    for odd in ("nobody", ["TCGA_CS_4941"], None, np.zeros(2)):
        with pytest.raises(LggError, match="such as TCGA_CS_4941"):
            cohort.volume(odd)


def test_tables_follow_the_patients(root):
    rows = (root / "data.csv").read_text().splitlines()
    (root / "data.csv").write_text("\n".join([rows[0], f"TCGA_ZZ_9999{17 * ','}", *rows[:0:-1]]))
    cohort = load_cohort(root, progress=False)
    assert cohort.clinical.index.tolist() == cohort.clusters.index.tolist() == cohort.patients
    assert cohort.clusters.RPPACluster.isna().tolist() == [True, False]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("4941", "4941_19960909"),
        lambda text: text.replace("4941,", "4941_20000101,"),
        lambda text: text.replace("TCGA_CS", "tcga_cs"),
        lambda text: text.replace("TCGA_CS_", "TCGA-CS-"),
        lambda text: text.replace("TCGA_HT_A61B", ' "TCGA_HT_A61B "').replace(
            "4941,", "4941\N{NO-BREAK SPACE},"
        ),
    ],
)
def test_ways_to_write_an_id_change_nothing(root, change):
    expected = load_cohort(root, progress=False)
    (root / "data.csv").write_text(change((root / "data.csv").read_text()), encoding="utf-8")
    cohort = load_cohort(root, progress=False)
    pd.testing.assert_frame_equal(cohort.clusters, expected.clusters)
    pd.testing.assert_frame_equal(cohort.clinical, expected.clinical)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda text: text.replace("4941", "4914"),
            "no row for TCGA_CS_4941; .*nearest to it is 'TCGA_CS_4914'",
        ),
        (
            lambda text: text.replace("4941", "49\N{ZERO WIDTH SPACE}41"),
            r"nearest to it is 'TCGA_CS_49\\u200b41'",
        ),
        (lambda text: text.replace("TCGA_CS_4941", "4941"), "no row for TCGA_CS_4941; "),
        (
            lambda text: text.splitlines()[0] + f"\nTCGA_ZZ_9999{17 * ','}\n",
            "data.csv has no row for TCGA_CS_4941, nor for 1 more; .*commas alone",
        ),
    ],
)
def test_a_folder_without_its_row_is_refused(root, change, words):
    """As silence, it would empty the patient's clusters."""
    (root / "data.csv").write_text(change((root / "data.csv").read_text()), encoding="utf-8")
    with pytest.raises(LggError, match=words):
        load_cohort(root, progress=False)
    assert not (root.parent.parent / "cache").exists()  # told before the minutes of packing


def test_a_changed_table_is_read_anew(root):
    assert load_cohort(root, progress=False).clinical.age["TCGA_CS_4941"] == 67
    (root / "data.csv").write_text((root / "data.csv").read_text().replace(",67,", ",68,"))
    assert load_cohort(root, progress=False).clinical.age["TCGA_CS_4941"] == 68


def test_a_cohort_needs_its_table(root):
    (root / "data.csv").unlink()
    with pytest.raises(LggError, match="data.csv is not there"):
        load_cohort(root, progress=False)


PRE_MISSING = {"DU_7013", "FG_A60K", "HT_7877", "HT_8105", "HT_A616", "HT_A61B"}
POST_MISSING = PRE_MISSING | {"DU_6407", "DU_7301", "DU_8165", "FG_7634"}


def short(patients):
    return {patient.removeprefix("TCGA_") for patient in patients}


@pytest.mark.real
def test_real_missing_sequences(real_cohort):
    summary = real_cohort.summary
    assert short(summary.index[summary.pre_missing]) == PRE_MISSING & short(summary.index)
    assert short(summary.index[summary.post_missing]) == POST_MISSING & short(summary.index)
    for patient in real_cohort.patients:
        assert ("post" in real_cohort.volume(patient).missing) == (
            patient.removeprefix("TCGA_") in POST_MISSING
        )


@pytest.mark.real
def test_real_counts(real_cohort):
    summary = real_cohort.summary
    found = (len(real_cohort.slices), summary.tumour_slices.sum())
    known = {60: (2202, 772), 110: (3929, 1373)}
    assert found == known.get(len(summary), found)
    assert len(summary) != 60 or summary.tumour_voxels.sum() == 1_493_070
    assert summary.slices.between(20, 88).all() and real_cohort.kind == "kaggle"
