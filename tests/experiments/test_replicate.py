"""The command that asks whether predicted shapes repeat the finding."""

import pandas as pd
import pytest

from experiments import replicate
from lggseg.genomics import cohort_features


@pytest.fixture()
def project(tmp_path, phantom_cohort):
    """A folder with the page to be stamped, and the manual shapes of the phantoms as if they were
    predicted.
    """
    folder = tmp_path / "lggseg" / "published"
    folder.mkdir(parents=True)
    (folder / "README.md").write_text(
        "# Title\n<!-- replication -->\nold\n<!-- /replication -->\nend\n"
    )
    cohort_features(phantom_cohort, progress=False).to_csv(tmp_path / "shapes.csv")
    return tmp_path


def test_manual_shapes_repeat_themselves(project, phantom_cohort, monkeypatch, capsys):
    monkeypatch.setattr(replicate, "open_cohort", lambda path: phantom_cohort)
    replicate.main(["--features", str(project / "shapes.csv"), "--root", str(project)])
    told = capsys.readouterr().out.strip()
    table = pd.read_csv(project / "lggseg" / "published" / "replication.csv", index_col="what")
    assert table.predicted["r of bevr"] == 1 and len(table) == 14
    both = table.dropna(subset=["manual"])
    assert (both.manual == both.predicted).all() and len(both) == 10
    assert (project / "lggseg" / "published" / "README.md").read_text() == (
        f"# Title\n<!-- replication -->\n{told}\n<!-- /replication -->\nend\n"
    )
    assert "0 of them without a predicted shape" in told and "ASD 1.00 (1.00 to 1.00)" in told


def test_uncleaned_masks_have_a_column_where_bevr_raw_is_given(
    project, phantom_cohort, monkeypatch
):
    monkeypatch.setattr(replicate, "open_cohort", lambda path: phantom_cohort)
    shapes = pd.read_csv(project / "shapes.csv")
    shapes.assign(bevr_raw=1 - shapes.bevr).to_csv(project / "shapes.csv", index=False)
    replicate.main(["--features", str(project / "shapes.csv"), "--root", str(project)])
    table = pd.read_csv(project / "lggseg" / "published" / "replication.csv", index_col="what")
    assert table.uncleaned["r of bevr"] == pytest.approx(-1)
    assert table.uncleaned["lead over chance that is kept"] == pytest.approx(-1)
    assert table.uncleaned["r of asd":"r of mf"].isna().all()


def test_no_place_for_the_words_and_nothing_is_written(
    project, phantom_cohort, monkeypatch, capsys
):
    monkeypatch.setattr(replicate, "open_cohort", lambda path: phantom_cohort)
    (project / "lggseg" / "published" / "README.md").write_text("# Title\n")
    shapes = str(project / "shapes.csv")
    with pytest.raises(SystemExit) as left:
        replicate.main(["--features", shapes, "--manual", shapes, "--root", str(project)])
    assert left.value.code == 2 and "has no <!-- replication -->" in capsys.readouterr().err
    assert [path.name for path in (project / "lggseg" / "published").iterdir()] == ["README.md"]
