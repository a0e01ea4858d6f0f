"""Expected Dice learned from tables: weights, quantiles and figures counted by hand."""

import numpy as np
import pandas as pd
import pytest

from experiments import robustness, trust
from experiments.robustness import CLEAN, Judges
from lggseg import LggError
from lggseg.measures.trust import ONE, SEVERAL


def table(patients: int = 30, seed: int = 0) -> pd.DataFrame:
    """Rows as of `experiments.robustness`: Dice follows the members' agreement, with noise."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(patients):
        quality = random.uniform(0.2, 1)
        for change in (CLEAN, "noise 12", "ghosts 0.12", "noise 25"):
            agreement = np.clip(quality + random.normal(0, 0.03), 0.05, 0.99)
            for judge in ("together", "0", "1"):
                rows.append(
                    {
                        "patient": f"TCGA_CS_{number:04}",
                        "change": change,
                        "judge": judge,
                        "dice": np.clip(quality + random.normal(0, 0.05), 0, 1),
                        "agreement": agreement if judge == "together" else np.nan,
                        "soft_dice": agreement,
                        "uncertain": 1 - agreement,
                        "confidence": 0.9,
                        "volume": 0.05,
                        "pieces": 1,
                        "largest": 1,
                        "continuity": 0.8,
                        "rim": 0.0,
                        "height": 0.5,
                        "brightness": 2.0,
                        "slices": 30,
                        "doubts": 0,
                    }
                )
    return pd.DataFrame(rows)


ROWS = table()


def test_half_of_a_patients_weight_lies_on_the_scan_as_it_is():
    rows = ROWS[ROWS.judge != "together"].reset_index(drop=True)
    weight = trust.weights_of(rows)
    assert weight.sum() == pytest.approx(1)
    assert weight[rows.change == CLEAN].sum() == pytest.approx(0.5)
    by_patient = pd.Series(weight).groupby(rows.patient).sum()
    assert by_patient.to_numpy() == pytest.approx(1 / 30)


def test_nothing_is_learned_from_empty_masks():
    with pytest.raises(LggError, match="every mask of the table is empty"):
        trust.fit(ROWS.assign(volume=0.0), trust.SIGNS[ONE])


def test_quantiles_of_weighted_values():
    values = np.array([4.0, 1.0, 3.0, 2.0])
    assert trust.quantile(values, np.ones(4), 0.25) == 1
    assert trust.quantile(values, np.array([0.0, 0.0, 1.0, 0.0]), 0.1) == 3
    assert trust.quantile(values, np.ones(4), 1) == 4


def test_levels_never_fall():
    random = np.random.default_rng(0)
    score = random.normal(size=200)
    found = trust.levels(score, 1 / (1 + np.exp(-score)), np.full(200, 1 / 200))
    assert all(found[name].is_monotonic_increasing for name in found)
    assert (found.low <= found.expected_dice).all() and (found.expected_dice <= found.high).all()


def test_the_sign_that_says_it_gets_the_weight():
    rows = trust.rows_of(ROWS, SEVERAL)
    model = trust.fit(rows, ("agreement", "confidence"))
    assert model.weights.weight["agreement"] > 0.5
    assert abs(model.weights.weight["confidence"]) < 0.05
    good = model.expect({"agreement": 0.9, "confidence": 0.9})
    poor = model.expect({"agreement": 0.4, "confidence": 0.9})
    assert good[0] == pytest.approx(0.9, abs=0.07) and poor[0] == pytest.approx(0.4, abs=0.07)


def test_out_of_fold_nobody_helps_to_judge_themselves(monkeypatch):
    rows = trust.rows_of(ROWS, SEVERAL)
    learned = []

    def spy(chosen, names):
        learned.append(set(chosen.patient))
        return real(chosen, names)

    real = trust.fit
    monkeypatch.setattr(trust, "fit", spy)
    found = trust.out_of_fold(rows, trust.SIGNS[SEVERAL])
    judged = trust.groups(rows)
    assert len(learned) == len(judged) == 10
    assert all(not {*theirs} & mine for theirs, mine in zip(judged, learned, strict=True))
    assert (found.index == rows.index).all()
    figures = trust.figures(found)
    assert figures["spearman"] > 0.9 and figures["auroc"] > 0.9
    assert figures["coverage"] == pytest.approx(0.8, abs=0.12)


def test_figures_counted_by_hand():
    rows = pd.DataFrame(
        {
            "dice": [0.9, 0.85, 0.6, 0.3],
            "expected_dice": [0.95, 0.7, 0.75, 0.4],
            "low": [0.9, 0.6, 0.65, 0.2],
            "high": [0.96, 0.8, 0.8, 0.5],
            "warned": [0, 1, 0, 2],
        }
    )
    found = trust.figures(rows)
    assert found["failures"] == 2 and found["auroc"] == pytest.approx(3 / 4)
    assert found["coverage"] == 0.5 and found["width"] == pytest.approx(
        (0.06 + 0.2 + 0.15 + 0.3) / 4
    )
    assert (found["poor"], found["poor_warned"], found["good"], found["good_warned"]) == (
        1,
        1,
        2,
        1,
    )
    assert np.isnan(trust.figures(rows[:2])["auroc"])


def test_area_counts_ties_half():
    assert trust.area(pd.Series([2.0, 1.0]), pd.Series([1.0, 0.0])) == pytest.approx(3.5 / 4)


def test_an_empty_mask_is_expected_to_be_worth_nothing():
    model = trust.fit(trust.rows_of(ROWS, SEVERAL), ("agreement",))
    row = dict(ROWS.iloc[0]) | {"volume": 0}
    assert trust.expected(model, row) == {
        "expected_dice": 0,
        "low": 0,
        "high": 0,
        "alarms": "nothing found",
        "warned": 1,
    }
    doubted = trust.expected(model, row | {"doubts": 2})
    assert doubted["alarms"] == "nothing found; implausible head" and doubted["warned"] == 2


def test_alarms_by_what_became_of_the_mask():
    rows = pd.DataFrame(
        {
            "dice": [0.9, 0.7, 0.69, 0.5, 0.49, 0.0],
            "alarms": ["", "jumps", "jumps", "", "jumps; large", "large"],
        }
    )
    found = trust.warning_table(rows).set_index("alarm")
    assert found.loc["jumps"].tolist() == [1, 1, 1]
    assert found.loc["large"].tolist() == [2, 0, 0]
    assert found.loc["any"].tolist() == [2, 1, 1]
    assert found.loc["none"].tolist() == [0, 1, 1]
    quiet = trust.warning_table(rows.assign(alarms=""))
    assert quiet.alarm.tolist() == ["any", "none"] and quiet.fair.tolist() == [0, 2]
    loud = trust.warning_table(rows.assign(alarms="large")).set_index("alarm")
    assert loud.loc["none"].tolist() == [0, 0, 0]


def test_one_member_learns_from_the_members_alone():
    assert set(trust.rows_of(ROWS, ONE).judge) == {"0", "1"}
    alone = ROWS[ROWS.judge == "together"].assign(agreement=np.nan)
    assert len(trust.rows_of(alone, ONE)) == len(alone) and trust.rows_of(alone, SEVERAL).empty


def counts(patients: int, chance: np.ndarray, probability: np.ndarray) -> pd.DataFrame:
    """Voxels of made-up patients: a thousand per byte, of which this fraction is tumour."""
    parts = [
        pd.DataFrame(
            {
                "patient": f"TCGA_CS_{i:04}",
                "byte": range(256),
                "voxels": 1000,
                "tumour": 1000 * chance,
            }
        )
        for i in range(patients)
    ]
    return pd.concat(parts, ignore_index=True)


def test_a_temperature_mends_probabilities_that_are_too_sure():
    probability = trust.BYTES.clip(1 / 510, 1 - 1 / 510)
    true = trust.temper(probability, 2)
    found, temperature = trust.reliability(counts(20, true, probability))
    assert temperature == pytest.approx(2, rel=0.01)
    error = trust.calibration_error(found)
    assert error["before"] > 0.05 and error["after"] < 0.005


def test_calibrated_probabilities_are_left_alone():
    probability = trust.BYTES.clip(1 / 510, 1 - 1 / 510)
    found, temperature = trust.reliability(counts(20, probability, probability))
    assert temperature == pytest.approx(1, abs=0.01)
    assert trust.calibration_error(found).max() < 0.005


def test_the_command_writes_the_published_tables(
    cohort, run_done, second_run, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(robustness, "VERSIONS", (CLEAN, "noise 12"))
    out = tmp_path / "rough"
    robustness.main(
        [str(run_done.out), str(second_run.out), "--data", str(cohort.root), "--out", str(out)]
    )
    made_up = table(len(cohort.patients))
    names = dict(zip(made_up.patient.unique(), cohort.patients))
    for patient, rows in made_up.groupby("patient"):
        trust.write_csv(
            rows.assign(patient=names[patient]), out / "patients" / f"{names[patient]}.csv"
        )
    (tmp_path / "lggseg" / "published").mkdir(parents=True)
    trust.main([str(out), "--data", str(cohort.root), "--publish", "--root", str(tmp_path)])
    assert "Expected calibration error" in capsys.readouterr().out
    written = {path.stem for path in (tmp_path / "lggseg" / "published").glob("*.csv")}
    assert written == {
        "trust_signs",
        "trust_levels",
        "trust_patients",
        "trust_figures",
        "trust_warnings",
        "reliability",
        "outlines",
    }
    signs = pd.read_csv(tmp_path / "lggseg" / "published" / "trust_signs.csv")
    assert set(signs.members) == {SEVERAL, ONE}


def test_maps_of_the_scan_as_it_is(cohort, run_done, tmp_path, monkeypatch):
    monkeypatch.setattr(robustness, "VERSIONS", (CLEAN, "noise 12"))
    robustness.main(
        [str(run_done.out), "--data", str(cohort.root), "--out", str(tmp_path / "rough")]
    )
    found = trust.histograms(cohort, tmp_path / "rough")
    for patient, rows in found.groupby("patient"):
        mask = cohort.volume(patient).mask
        assert rows.voxels.sum() == mask.size and rows.tumour.sum() == mask.sum()
    assert Judges([run_done.out]).patients(cohort) == sorted(found.patient.unique())
