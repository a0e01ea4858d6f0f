"""The phantom cohort: the real layout, the same bytes from the same seed, and the truth planted in it."""

import hashlib
import re
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage, stats
from scipy.spatial import ConvexHull
from skimage.io import imread

from lggseg import phantom
from lggseg.errors import LggError
from lggseg.phantom import COLUMNS, PLANTED, draw_masks, plan_cohort, write_phantom_cohort

CODES = {"RNASeqCluster": 4, "MethylationCluster": 5, "miRNACluster": 4, "CNCluster": 3, "RPPACluster": 4,
         "OncosignCluster": 3, "COCCluster": 3, "histological_type": 3, "neoplasm_histologic_grade": 2,
         "laterality": 3, "tumor_location": 6, "gender": 2, "race": 3, "ethnicity": 2}  # codes run from 1 to this
CLINICAL = list(COLUMNS[8:])


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return write_phantom_cohort(tmp_path_factory.mktemp("small"), patients=4, seed=3, progress=False)


@pytest.fixture(scope="module")
def default():
    """Plan, table and masks of the default cohort; nothing is written."""
    plan, table = plan_cohort()
    return plan, table.set_index("Patient"), {patient.folder: draw_masks(patient) for patient in plan}


@pytest.fixture(scope="module")
def regularity(default):
    """Tumour volume over that of its convex hull, per row of the table: like BEVR, but computed by Qhull alone."""
    plan, table, masks = default
    value = {}
    for patient in plan:
        voxels = np.argwhere(masks[patient.folder])
        corners = np.concatenate([voxels + np.array([d, r, c]) for d in (0, 1) for r in (0, 1) for c in (0, 1)])
        value[patient.folder.rpartition("_")[0]] = len(voxels) / ConvexHull(corners).volume
    return pd.Series(value)[table.index]


def volumes(root):
    """(folder's name, images (D,256,256,3), masks (D,256,256)) of every patient, slices in numeric order."""
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        names = [f"{folder.name}_{k}" for k in range(1, len(list(folder.iterdir())) // 2 + 1)]
        yield (folder.name, np.stack([imread(folder / f"{name}.tif") for name in names]),
               np.stack([imread(folder / f"{name}_mask.tif") for name in names]))


def digest(root):
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(root.rglob("*")) if path.is_file()}


def test_layout(small):
    folders = [path for path in small.iterdir() if path.is_dir()]
    assert small.name == "kaggle_3m" and len(folders) == 4
    assert sorted(p.name for p in small.iterdir() if p.is_file()) == ["PHANTOM.txt", "README.md", "data.csv"]
    for folder in folders:
        assert re.fullmatch(r"TCGA_(CS|DU|EZ|FG|HT)_P\d{3}_(199|200)\d[01]\d[0-3]\d", folder.name)
        count = len(list(folder.glob("*_mask.tif")))
        slices = {f"{folder.name}_{k}{end}.tif" for k in range(1, count + 1) for end in ("", "_mask")}
        assert {path.name for path in folder.iterdir()} == slices and 15 <= count <= 28
    assert [path.name for path in small.parent.iterdir()] == ["kaggle_3m"]  # nothing temporary is left


def test_pixels(small):
    for _, image, mask in volumes(small):
        assert image.shape[1:] == (256, 256, 3) and image.dtype == np.uint8
        assert mask.shape == image.shape[:3] and set(np.unique(mask)) == {0, 255}
        assert image.max() > 120 and np.median(image[:, :8]) < 25  # a head in dark air
        rows = np.flatnonzero((mask > 0).any((1, 2)))
        assert len(rows) >= 2 and (np.diff(rows) >= 1).all() and 0 < rows[0] and rows[-1] < len(mask) - 1


def test_a_tumour_continues_from_slice_to_slice(small):
    for _, _, mask in volumes(small):
        rows = np.flatnonzero((mask > 0).any((1, 2)))
        overlap = [(mask[a] & mask[b]).any() for a, b in zip(rows, rows[1:])]
        assert np.mean(overlap) > 0.7


def test_missing_sequences_are_copies_of_flair(default):
    plan, _, _ = default
    pre, post = ({p.folder for p in plan if name in p.missing} for name in ("pre", "post"))
    assert pre < post and (len(pre), len(post)) == (3, 5)
    for missing in ((), ("post",), ("pre", "post")):
        patient = next(patient for patient in plan if patient.missing == missing)
        image, _ = next(phantom.draw_slices(patient))
        for channel, name in ((0, "pre"), (2, "post")):
            assert (image[..., channel] == image[..., 1]).all() == (name in patient.missing)


def test_table(small):
    text = (small / "data.csv").read_text()
    table = pd.read_csv(small / "data.csv")
    assert tuple(table.columns) == COLUMNS and ".0" not in text
    assert set(table["Patient"]) == {path.name.rpartition("_")[0] for path in small.iterdir() if path.is_dir()}
    assert table["Patient"].is_monotonic_increasing


def test_codes_and_missing_values(default):
    _, table, _ = default
    for column, top in CODES.items():
        assert table[column].dropna().between(1, top).all(), column
    assert not table["tumor_location"].isin([3]).any() and set(table["tumor_tissue_site"].dropna()) == {1}
    assert table["age_at_initial_pathologic"].dropna().between(20, 75).all()
    assert set(table["death01"].dropna()) == {0, 1}
    bare = table[CLINICAL].isna().all(axis=1)
    assert bare.sum() == 1 and table.loc[bare, "COCCluster"].notna().all()
    gaps = table.isna().sum()
    assert gaps["RNASeqCluster"] == 10 and gaps["RPPACluster"] == 7 and gaps["ethnicity"] in (4, 5)
    assert gaps["MethylationCluster"] == 1 and gaps["COCCluster"] == gaps["miRNACluster"] == 0


def test_sites_have_about_the_real_shares(default):
    plan, _, _ = default
    assert pd.Series([patient.site for patient in plan]).value_counts().to_dict() == \
        {"DU": 24, "HT": 19, "CS": 9, "FG": 7, "EZ": 1}


def test_same_seed_same_bytes(small, tmp_path):
    again = write_phantom_cohort(tmp_path / "again", patients=4, seed=3, progress=False)
    assert digest(again) == digest(small)
    other = write_phantom_cohort(tmp_path / "other", patients=2, seed=4, progress=False)
    images = [{code for path, code in digest(root).items() if re.search(r"_\d+\.tif$", path) and "mask" not in path}
              for root in (small, other)]
    assert images[0] and images[1] and not images[0] & images[1]


def test_size(small):
    files = [path for path in small.rglob("*") if path.is_file()]
    per_slice = sum(path.stat().st_size for path in files) / (len(files) / 2)
    assert per_slice * 1300 < 250e6  # 60 patients have about 1,220 slices


def test_an_identical_cohort_is_kept_and_any_other_refused(small):
    before = (small / "data.csv").stat().st_mtime_ns
    assert write_phantom_cohort(small.parent, patients=4, seed=3, progress=False) == small
    assert (small / "data.csv").stat().st_mtime_ns == before
    with pytest.raises(LggError, match="is not the phantom cohort asked for"):
        write_phantom_cohort(small.parent, patients=4, seed=4, progress=False)


def test_all_or_nothing(tmp_path, monkeypatch):
    whole = phantom.write_patient

    def fails_in_the_middle(root, patient):
        whole(root, patient)
        if patient.key[1] == 2:
            raise OSError("disk full")

    monkeypatch.setattr(phantom, "write_patient", fails_in_the_middle)
    with pytest.raises(OSError, match="disk full"):
        write_phantom_cohort(tmp_path, patients=3, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_two_writers_at_once(tmp_path, monkeypatch):
    fill = phantom._fill

    def overtaken(folder, *rest):
        fill(folder, *rest)
        monkeypatch.setattr(phantom, "_fill", fill)
        write_phantom_cohort(tmp_path, patients=2, progress=False)

    monkeypatch.setattr(phantom, "_fill", overtaken)
    assert write_phantom_cohort(tmp_path, patients=2, progress=False) == tmp_path / "kaggle_3m"
    assert [path.name for path in tmp_path.iterdir()] == ["kaggle_3m"]


@pytest.mark.parametrize("arguments", [{"patients": 1}, {"patients": 1000}, {"patients": 2.5},
                                       {"seed": -1}, {"seed": "a"}])
def test_bad_arguments(tmp_path, arguments):
    with pytest.raises(LggError, match="must be a whole number"):
        write_phantom_cohort(tmp_path / "none", **arguments)
    assert not (tmp_path / "none").exists()


# ---------------------------------------------------------------------------------------------------- planted truth

def test_masks_alone_are_the_masks_written(small):
    plan, _ = plan_cohort(4, 3)
    for name, _, mask in volumes(small):
        patient = next(patient for patient in plan if patient.folder == name)
        assert ((mask > 0) == draw_masks(patient)).all()


def test_tumours_vary_as_they_should(default):
    plan, table, masks = default
    voxels = np.array([mask.sum() for mask in masks.values()])
    assert voxels.min() > 1000 and voxels.max() > 5 * voxels.min()
    assert 0.008 < np.mean([mask.mean() for mask in masks.values()]) < 0.02
    assert 0.3 < sum(mask.any((1, 2)).sum() for mask in masks.values()) / sum(map(len, masks.values())) < 0.42
    parts = [ndimage.label(mask, np.ones((3, 3, 3)))[1] for mask in masks.values()]
    assert parts.count(1) >= 45 and sum(n > 1 for n in parts) >= 4
    contrast = np.array([phantom.Look.draw(patient.rng(3)).contrast for patient in plan])
    assert 3 <= (contrast < 1.15).sum() <= 15


def test_the_table_puts_the_tumour_on_its_side(default):
    plan, table, masks = default
    for patient in plan:
        middle = ndimage.center_of_mass(masks[patient.folder])[2] - 127.5
        side = patient.side  # 1 left: the picture's right
        assert side == 0 or np.sign(middle) == side


def test_planted_clusters_overlap(default):
    _, table, _ = default
    for a, b in combinations(PLANTED, 2):
        pair = table[[a, b]].dropna().astype(int)
        assert stats.chi2_contingency(pd.crosstab(pair[a], pair[b]))[1] < 0.01, (a, b)


def p_value(value, category):
    groups = [part for _, part in value.groupby(category.astype("float")) if len(part) > 2]
    return stats.kruskal(*groups).pvalue if len(groups) > 1 else 1.0


def test_irregularity_depends_on_the_planted_clusters(default, regularity):
    _, table, _ = default
    for column in PLANTED:
        assert p_value(regularity, table[column]) < 0.005, column
    known = table["RNASeqCluster"].notna()
    high = regularity[known] > regularity[known].median()
    r2 = table.loc[known, "RNASeqCluster"] == 2
    assert stats.fisher_exact(pd.crosstab(high, r2)).pvalue < 0.001
    low = stats.mannwhitneyu(regularity[known][~r2], regularity[known][r2]).statistic / (r2.sum() * (~r2).sum())
    assert low > 0.75  # R2 is the irregular one, as in the paper


def test_and_on_nothing_else(default, regularity):
    plan, table, masks = default
    free = [column for column in table if column not in (*PLANTED, "age_at_initial_pathologic")]
    age = table["age_at_initial_pathologic"].dropna().astype(float)
    about = pd.DataFrame({patient.folder.rpartition("_")[0]: {"size": masks[patient.folder].sum(), "site": patient.site}
                          for patient in plan}).T.loc[table.index]
    p = [p_value(regularity, table[column]) for column in free]
    p.append(p_value(regularity, about["site"].astype("category").cat.codes))
    p += [stats.spearmanr(regularity[age.index], age).pvalue, stats.spearmanr(regularity, about["size"]).pvalue]
    assert stats.false_discovery_control(p).min() > 0.05
