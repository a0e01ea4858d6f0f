import pytest

from lggseg.errors import LggError
from lggseg.patient_ids import parse_patient_folder, patient_id


@pytest.mark.parametrize("name", ["TCGA_CS_4941_19960909", "TCGA_CS_4941"])
def test_a_patients_folder(name):
    assert parse_patient_folder(name) == ("TCGA_CS_4941", "CS")


@pytest.mark.parametrize("name", ["TCGA_CS_4941_1996", "tcga_CS_4941", "TCGA_CS", "TCGA_CSX_1"])
def test_another_name_is_refused(name):
    with pytest.raises(
        LggError, match=f"^folder '{name}': a patient's folder is called TCGA_<site>_<id>"
    ):
        parse_patient_folder(name)


def test_ids_as_tables_write_them():
    assert patient_id("tcga-cs-4941-19960909") == "TCGA_CS_4941" and patient_id("Jane") == "Jane"
