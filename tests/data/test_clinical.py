"""data.csv: codes in words, clusters as integers, and what the table may not hold."""

import pandas as pd
import pytest

from lggseg.data.clinical import CLUSTERS, read_clinical
from lggseg.errors import LggError


def test_codes_become_words(root):
    clinical, clusters = read_clinical(root / "data.csv")
    assert clinical.loc["TCGA_CS_4941"].tolist() == [
        "astrocytoma", "G3", "central nervous system", "right", "frontal", "male", 67, "white", "not hispanic", "yes"]
    assert clinical.loc["TCGA_HT_A61B"].isna().all()
    assert clusters.columns.tolist() == list(CLUSTERS) and (clusters.dtypes == "Int64").all()
    assert clusters.loc["TCGA_HT_A61B"].tolist() == [1, 5, 2, 1, 1, 2, 1]
    assert clusters.RPPACluster["TCGA_CS_4941"] is pd.NA


@pytest.mark.parametrize(("old", "new", "rule"), [
    (",67,", ",old,", "age_at_initial_pathologic of TCGA_CS_4941 is 'old'"), ("1.0", "1.5", "RNASeqCluster.*'1.5'"),
    ("2,2,67", "3,2,67", "tumor_location of TCGA_CS_4941 is 3; known codes"), ("laterality", "side", "laterality"),
    ("Patient", "Name", "a column Patient"), ("TCGA_HT_A61B", "TCGA_CS_4941", "TCGA_CS_4941 twice"),
])
def test_refusals_of_the_table(root, old, new, rule):
    (root / "data.csv").write_text((root / "data.csv").read_text().replace(old, new, 1))
    with pytest.raises(LggError, match=rule):
        read_clinical(root / "data.csv")


@pytest.mark.real
def test_real_tables(real_cohort):
    clinical, clusters = read_clinical(real_cohort.root / "data.csv")
    assert len(clinical) == 110 and clusters.isna().sum().tolist() == [18, 1, 0, 2, 12, 5, 0]
    assert clinical.loc["TCGA_HT_A61B"].isna().all() and clinical.ethnicity.isna().sum() == 8
    assert clinical.loc["TCGA_CS_4941"].tolist()[:5] == [
        "astrocytoma", "G3", "central nervous system", "right", "frontal"]
