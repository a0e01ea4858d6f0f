"""data.csv: codes in words, clusters as integers, and what the table may not hold."""

import os

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_cohort import HEADER

from lggseg.data.clinical import CLUSTERS, CODEBOOK, EMPTY, read_clinical
from lggseg.errors import LggError


def test_codes_become_words(root):
    clinical, clusters = read_clinical(root / "data.csv")
    assert clinical.loc["TCGA_CS_4941"].tolist() == [
        "astrocytoma",
        "G3",
        "central nervous system",
        "right",
        "frontal",
        "male",
        67,
        "white",
        "not hispanic",
        "yes",
    ]
    assert clinical.loc["TCGA_HT_A61B"].isna().all()
    assert clusters.columns.tolist() == list(CLUSTERS) and (clusters.dtypes == "Int64").all()
    assert clusters.loc["TCGA_HT_A61B"].tolist() == [1, 5, 2, 1, 1, 2, 1]
    assert clusters.RPPACluster["TCGA_CS_4941"] is pd.NA


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("histological_type", {1: "astrocytoma", 2: "oligoastrocytoma", 3: "oligodendroglioma"}),
        ("neoplasm_histologic_grade", {1: "G2", 2: "G3"}),
        ("laterality", {1: "left", 2: "midline", 3: "right"}),
        (
            "tumor_location",
            {1: "cerebellum", 2: "frontal", 4: "occipital", 5: "parietal", 6: "temporal"},
        ),
        ("gender", {1: "female", 2: "male"}),
        ("race", {2: "black", 3: "white"}),
        ("death01", {0: "no", 1: "yes"}),
        ("ethnicity", {1: "hispanic", 2: "not hispanic"}),
    ],
)
def test_the_codebook_is_that_of_tcgas_clinical_table(tmp_path, column, words):
    """As looked up there; the data set comes without one."""
    place = HEADER.split(",").index(column)
    rows = [
        ",".join(
            [
                f"P{code}",
                *[str(code) if i == place else "" for i in range(1, HEADER.count(",") + 1)],
            ]
        )
        for code in words
    ]
    (tmp_path / "data.csv").write_text("\n".join([HEADER, *rows]))
    clinical, _ = read_clinical(tmp_path / "data.csv")
    assert clinical[CODEBOOK[column][0]].tolist() == list(words.values())


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        (",67,", ",old,", "age_at_initial_pathologic of TCGA_CS_4941 is 'old'"),
        ("1.0", "1.5", "RNASeqCluster.*'1.5'"),
        ("2,2,67", "3,2,67", "tumor_location of TCGA_CS_4941 is 3; known codes"),
        ("laterality", "side", "laterality"),
        ("Patient", "Name", "Patient"),
        ("TCGA_HT_A61B", "TCGA_CS_4941", "'TCGA_CS_4941' twice"),
        ("4941,2,", "4941,inf,", "RNASeqCluster of TCGA_CS_4941 is 'inf'"),
        ("1.0", "1e20", "'1e20'"),
        ("1.0", "9223372036854775808", "'9223372036854775808'"),
        ("1.0", "9" * 400, "from 0 to 999"),
        ("4941,2,", "4941,-1,", "'-1'"),
        ("1.0", "0x1", "'0x1'"),
        ("1.0", "\N{ARABIC-INDIC DIGIT TWO}", "of TCGA_HT_A61B"),
        (",3,2,1\n", ",3,2\n", "TCGA_CS_4941 has 17 fields, the header 18"),
        (",3,2,1\n", ",3,2,1,\n", "TCGA_CS_4941 has 19 fields, the header 18"),
        ("TCGA_HT_A61B", "tcga_cs_4941_19960909", "'TCGA_CS_4941' twice"),
        ("4941,2,", "4941,0,", "RNASeqCluster of TCGA_CS_4941 is 0; clusters count from 1"),
        ("TCGA_HT_A61B", "", "patients.*has no name"),
        ("death01", "gender", "'gender' twice"),
        ("TCGA_HT_A61B", '"TCGA_HT_A61B', "cannot be read"),
        ("1.0", "\0", "TCGA_HT_A61B|cannot be read"),
    ],
)
def test_refusals_of_the_table(root, old, new, rule):
    (root / "data.csv").write_text((root / "data.csv").read_text().replace(old, new, 1))
    with pytest.raises(LggError, match=rule):
        read_clinical(root / "data.csv")


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "no patient"),
        (f"{HEADER}\n".encode(), "no patient"),
        (f"{HEADER}\nTCGA_\xc4,2{16 * ','}\n".encode("latin-1"), "utf-8"),
        (HEADER.replace(",", ";").encode(), "Patient"),
        (bytes(range(256)), "cannot be read"),
    ],
)
def test_tables_that_are_none(tmp_path, content, rule):
    (tmp_path / "data.csv").write_bytes(content)
    with pytest.raises(LggError, match=rule):
        read_clinical(tmp_path / "data.csv")


@pytest.mark.skipif(os.name == "nt", reason="Windows has neither pipes nor devices among its files")
@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.mkdir(),
        lambda path: os.mkfifo(path),
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to("nowhere"),
    ],
)
def test_a_table_that_is_no_file(tmp_path, make):
    make(tmp_path / "data.csv")
    with pytest.raises(LggError, match="data.csv"):
        read_clinical(tmp_path / "data.csv")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace(",,", ",NA,"),
        lambda text: text.replace(",", " , "),
        lambda text: text + "\n\n",
        lambda text: text.replace("1.0,", '"1",'),
    ],
)
def test_what_programs_do_to_a_table_changes_nothing(root, change):
    assert_same_after(change, root)


def with_index(text: str) -> str:
    """As pandas writes a table without index=False."""
    header, *rows = text.splitlines()
    return "\n".join([f",{header}", *(f"{k},{row}" for k, row in enumerate(rows))])


@pytest.mark.parametrize(
    "change",
    [
        with_index,
        lambda text: text + f"{17 * ','}\n" * 3,
        lambda text: text.replace("\n", ",\n"),
        lambda text: with_index(text.replace("\n", ",\n")),
        lambda text: with_index(with_index(text)),
        lambda text: text.replace("\n", ",\n").replace(",\n", "\n", 1),
        lambda text: text.replace("\n", ",,\n", 1),
    ],
)
def test_columns_and_rows_that_programs_add_are_left_out(root, change):
    """pandas #10646, bnpy #8: an index, Excel's empty rows, a comma at the end of each line."""
    assert_same_after(change, root)


def test_another_column_without_a_name_is_told(root):
    text = (root / "data.csv").read_text()
    (root / "data.csv").write_text(text.replace("\n", ",note\n").replace(",note", ",", 1))
    with pytest.raises(LggError, match="columns of .*'' has no name"):
        read_clinical(root / "data.csv")


def assert_same_after(change, root):
    expected = read_clinical(root / "data.csv")
    (root / "data.csv").write_bytes(change((root / "data.csv").read_text()).encode())
    for table, same in zip(read_clinical(root / "data.csv"), expected):
        pd.testing.assert_frame_equal(table, same)


@pytest.mark.real
def test_real_tables(real_cohort):
    clinical, clusters = read_clinical(real_cohort.root / "data.csv")
    assert len(clinical) == 110 and clusters.isna().sum().tolist() == [18, 1, 0, 2, 12, 5, 0]
    assert clinical.loc["TCGA_HT_A61B"].isna().all() and clinical.ethnicity.isna().sum() == 8
    assert clinical.loc["TCGA_CS_4941"].tolist()[:5] == [
        "astrocytoma",
        "G3",
        "central nervous system",
        "right",
        "frontal",
    ]


@st.composite
def written_tables(draw):
    """The bytes of a data.csv as some program writes it, and each patient's codes by column."""
    columns = draw(st.permutations([*CLUSTERS, *CODEBOOK]))
    lines = [",".join(["Patient", *columns])]
    codes = {}
    for i in range(draw(st.integers(1, 4))):
        codes[f"TCGA_CS_{4000 + i}"] = row = {name: draw(code_of(name)) for name in columns}
        cells = [draw(written_as(code)) for code in row.values()]
        lines.append(",".join([f"TCGA_CS_{4000 + i}", *cells]))
    text = draw(st.sampled_from(["\n", "\r\n"])).join([*lines, ""])
    return text.encode(draw(st.sampled_from(["utf-8", "utf-8-sig"]))), codes


def code_of(column: str) -> st.SearchStrategy:
    """A code that may stand in this column, or None."""
    if column in CLUSTERS:
        return st.none() | st.integers(1, 6)
    words = CODEBOOK[column][1]
    return st.none() | (st.integers(20, 79) if words is None else st.sampled_from(sorted(words)))


def written_as(code: int | None) -> st.SearchStrategy:
    """A code in one of the ways that programs have."""
    ways = EMPTY if code is None else (f"{code}", f"{code}.0", f"{code}.")
    frames = st.sampled_from(["{}", '"{}"', " {}", "{} "])
    return st.builds(str.format, frames, st.sampled_from(ways))


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(table=written_tables())
def test_however_a_program_writes_the_table_the_codes_are_the_same(tmp_path_factory, table):
    content, codes = table
    path = tmp_path_factory.mktemp("table") / "data.csv"
    path.write_bytes(content)
    clinical, clusters = read_clinical(path)
    for patient, row in codes.items():
        for column, code in row.items():
            ours, words = CODEBOOK.get(column, (column, None))
            side = clusters if column in CLUSTERS else clinical
            right = words[code] if words and code is not None else code
            found = side[ours][patient]
            assert pd.isna(found) if code is None else found == right
