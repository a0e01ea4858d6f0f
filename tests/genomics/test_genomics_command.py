"""The command `python -m lggseg.genomics`."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lggseg.errors import LggError
from lggseg.genomics import __main__ as command
from lggseg.genomics import fisher


@pytest.fixture
def files(invented, tmp_path, monkeypatch):
    """features.csv of the invented cohort, and its clusters wherever `data.csv` is read."""
    features, clusters = invented
    named = features.assign(
        bevr=features.real.rank(pct=True), asd=features.noise, mf=-features.noise
    )
    named[["asd", "mf", "bevr"]].to_csv(tmp_path / "features.csv")
    clusters = clusters.rename(columns={"RNA": "RNASeqCluster"})
    monkeypatch.setattr(command, "read_clinical", lambda path: (None, clusters))
    return tmp_path


def options(folder, *more):
    return [
        "--features",
        str(folder / "features.csv"),
        "--clusters",
        "data.csv",
        "--permutations",
        "0",
        *more,
    ]


def test_table_from_a_csv(files, capsys):
    command.main(options(files, "--permutations", "20", "--out", str(files / "table.csv")))
    printed = capsys.readouterr().out
    table = pd.read_csv(files / "table.csv")
    assert table["n"].tolist() == [60] * 6 and table.columns[0] == "feature"
    assert [file.name for file in files.glob("*.part")] == []
    label, medians, blank, head, *rows = printed.splitlines()
    assert (label, blank) == (f"{files / 'features.csv'}: 60 tumours", "")
    assert medians == "medians: asd 0.182, mf -0.182, bevr 0.508"
    assert head.split() == [
        "feature",
        "cluster",
        "n",
        "p_fisher",
        "p_kruskal",
        "epsilon_sq",
        "q_bh",
        "p_bonferroni",
        "small",
    ]
    assert (
        rows[0].split()[:3] == ["asd", "RNASeqCluster", "60"]
        and rows[0].split()[3] == f"{table.p_fisher[0]:.2g}"
    )
    assert rows[6:8] == [
        "",
        "small: categories with fewer than five patients; tested, but none of them supports a "
        "claim alone",
    ]
    assert rows[8].startswith("AUC of 1/BEVR for R2 against the rest: 0.") and rows[8].endswith(
        ", n 60)"
    )
    assert rows[9].startswith("20 permutations, false positives at 0.05: per test 0.")
    assert rows[10:] == [f"written: {files / 'table.csv'}"]


def test_options_left_out():
    chosen = command.parse([])
    assert chosen.permutations == 1000 and set(vars(chosen).values()) == {1000, None}


def test_table_of_a_cohort(invented, tmp_path, monkeypatch, capsys):
    rng, opened, patients = np.random.default_rng(0), [], list(invented[0].index)
    masks = {patient: rng.random((1, 5, 5)) < 0.9 for patient in patients}
    cohort = SimpleNamespace(
        label="INVENTED",
        root=Path("nowhere"),
        patients=patients,
        clusters=invented[1],
        volume=lambda patient: SimpleNamespace(mask=masks[patient]),
    )
    monkeypatch.setattr(command, "open_cohort", lambda place: opened.append(place) or cohort)
    command.main(
        [
            "--data",
            "somewhere",
            "--permutations",
            "0",
            "--save-features",
            str(tmp_path / "shapes.csv"),
        ]
    )
    assert opened == ["somewhere"] and "INVENTED: 60 tumours" in capsys.readouterr().out
    assert pd.read_csv(tmp_path / "shapes.csv", index_col="patient").index.tolist() == patients
    assert command.read_features(tmp_path / "shapes.csv").columns.tolist() == ["asd", "mf", "bevr"]


def test_clusters_of_the_cohort_for_features_of_a_file(files, monkeypatch, capsys):
    cohort = SimpleNamespace(clusters=command.read_clinical(None)[1], root=files / "kaggle_3m")
    cohort.root.mkdir()
    monkeypatch.setattr(command, "read_clinical", None)
    monkeypatch.setattr(command, "open_cohort", lambda place: cohort)
    command.main(["--features", str(files / "features.csv"), "--permutations", "0"])
    assert "60 tumours" in capsys.readouterr().out
    with pytest.raises(LggError, match="lies in the cohort's own folder"):
        command.main(
            [
                "--features",
                str(files / "features.csv"),
                "--out",
                str(files / "kaggle_3m" / "data.csv"),
            ]
        )
    with (files / "features.csv").open("a") as table:
        table.write("P77,0.1,0.1,0.1\n")
    with pytest.raises(LggError, match="data.csv has no row for P77"):
        command.main(["--features", str(files / "features.csv")])


def test_the_area_is_that_of_one_over_bevr(capsys):
    features = pd.DataFrame({"bevr": [0.2, 0.3, 0.5, 0.9, np.nan]}, list("abcde"))
    command.report_r2(features, pd.DataFrame({"RNASeqCluster": [2.0, 1, 2, 3, 2]}, list("abcde")))
    # R2 0.2 and 0.5; rest 0.3 and 0.9.
    assert "R2 against the rest: 0.75 (95 %" in capsys.readouterr().out
    command.report_r2(features, pd.DataFrame({"RNASeqCluster": [1, 1, 1]}, list("abc")))
    assert "0 positive and 3 negative" in capsys.readouterr().out
    command.report_r2(features, pd.DataFrame({"other": [1, 1, 1]}, list("abc")))
    assert "no column RNASeqCluster" in capsys.readouterr().out


def test_a_refused_pair_is_told_and_the_others_printed(files, monkeypatch, capsys):
    monkeypatch.setattr(fisher, "MOST_FILLINGS", 320)  # enough for one of the two clusters
    command.main(options(files, "--out", str(files / "table.csv")))
    printed, table = capsys.readouterr().out, pd.read_csv(files / "table.csv")
    assert "note" in printed and "merge small categories" in printed and "AUC of 1/BEVR" in printed
    assert table.p_fisher.isna().equals(table.cluster == "RNASeqCluster")
    assert table.note.notna().equals(table.cluster == "RNASeqCluster")


def test_output_never_replaces_input(files):
    before = (files / "features.csv").read_bytes()
    for option in ("--out", "--save-features"):
        with pytest.raises(LggError, match="named twice"):
            command.main(options(files, option, str(files / "features.csv")))
        with pytest.raises(LggError, match="named twice"):
            command.main(options(files, option, "data.csv"))
    with pytest.raises(LggError, match="named twice"):
        command.main(
            options(
                files, "--out", str(files / "x.csv"), "--save-features", str(files / "." / "x.csv")
            )
        )
    assert (files / "features.csv").read_bytes() == before and not (files / "x.csv").exists()


@pytest.mark.parametrize("place", ["", "lacking/table.csv"])
def test_output_is_checked_before_anything_is_measured(files, place, monkeypatch):
    monkeypatch.setattr(command, "read", lambda options: pytest.fail("measured first"))
    with pytest.raises(LggError, match="cannot be written; name a file in a folder that exists"):
        command.main(options(files, "--out", str(files / place)))


@pytest.mark.parametrize("written", ["half", None])
def test_a_full_disk_leaves_no_half_table(tmp_path, monkeypatch, written):
    def full(self, path):
        if written:
            path.write_text(written)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    with pytest.raises(LggError, match="table.csv cannot be written: No space left"):
        command.write_csv(pd.DataFrame(), tmp_path / "table.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("patient,asd\nP1,0.1\n", r"lacks the columns \['bevr', 'mf'\]"),
        ("", "holds no patient"),
        ("\0\0", "features.csv"),
        (None, "is no file"),
        ("patient,asd,mf,bevr\n", "holds no patient"),
        # It was cut short.
        ("patient,asd,mf,bevr\nP1,0.1,0.1,0.1\nP2,0.1,0.1\n", "P2 has 3 fields, the header 4"),
        ("patient,asd,mf,bevr\nP1,0,1,0,1,0,1\n", "P1 has 7 fields"),
        ("patient,asd,mf,bevr\n,1,1,1\n", "has no name"),
        (
            "patient,asd,mf,bevr\nP1,0.1,0.1,x\n",
            "features.csv: bevr of P1 is 'x'; it must be a number, or empty",
        ),
        ("patient,asd,mf,bevr\nP1,0.1,0.1,1\nP1,1,1,1\n", "'P1' twice"),
    ],
)
def test_a_bad_csv_is_named(tmp_path, content, words):
    if content is not None:
        (tmp_path / "features.csv").write_text(content)
    with pytest.raises(LggError, match=words):
        command.main(options(tmp_path))


def test_a_tumour_without_its_row_of_clusters_is_refused(files):
    with (files / "features.csv").open("a") as table:
        table.write("P77,0.1,0.1,0.1\n")
    with pytest.raises(LggError, match="data.csv has no row for P77"):
        command.main(options(files))


def test_ids_and_gaps_of_a_csv_as_programs_write_them(tmp_path):
    (tmp_path / "features.csv").write_text(
        "\ufeffpatient,bevr,mf,asd,note\ntcga_cs_4941_19960909, 0.5,NA,1e-1,x\n", encoding="utf-8"
    )
    features = command.read_features(tmp_path / "features.csv")
    assert features.columns.tolist() == ["asd", "mf", "bevr"] and features.index.tolist() == [
        "TCGA_CS_4941"
    ]
    assert features.iloc[0, [0, 2]].tolist() == [0.1, 0.5] and np.isnan(features.mf.iloc[0])


def test_negative_permutations(tmp_path):
    with pytest.raises(LggError, match="--permutations is -1"):
        command.main(options(tmp_path, "--permutations", "-1"))


def test_as_many_permutations_as_allowed():
    assert command.parse(["--permutations", "100000"]).permutations == 100_000
    with pytest.raises(LggError, match="--permutations is 100001"):
        command.parse(["--permutations", "100001"])


def test_permutations_that_test_nothing_say_so(invented, monkeypatch, capsys):
    monkeypatch.setattr(command, "permuted_p_values", lambda *_: pd.DataFrame([[np.nan]]))
    command.report_permutations(*invented, 10)
    assert capsys.readouterr().out == "permutations: no pair could be tested\n"


def test_an_error_is_one_line_and_exit_code_2(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "lggseg.genomics", "--features", str(tmp_path / "no.csv")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2 and run.stdout == ""
    assert (
        run.stderr.startswith("error: ")
        and run.stderr.count("\n") == 1
        and "no.csv is no file" in run.stderr
    )


def test_nothing_is_written_among_the_patients(tmp_path, monkeypatch):
    monkeypatch.setattr(
        command, "open_cohort", lambda data: SimpleNamespace(root=tmp_path / "kaggle_3m")
    )
    (tmp_path / "kaggle_3m").mkdir()
    with pytest.raises(LggError, match="lies in the cohort's own folder"):
        command.main(["--out", str(tmp_path / "kaggle_3m" / "data.csv")])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--clusters", "a.csv"), "--clusters goes with --features"),
        (("--permutations", "1000000000"), "up to 100,000"),
    ],
)
def test_options_that_would_be_overlooked_or_never_end(words, told):
    with pytest.raises(LggError, match=told):
        command.main(words)
