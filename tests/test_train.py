import pandas as pd
import pytest

from lggseg import train
from lggseg.data.splits import split_patients
from lggseg.model.segmenter import load_checkpoint
from lggseg.train import main


def test_command_line(phantom_cohort, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(train, "open_cohort", lambda path, progress: phantom_cohort)
    main(
        [
            "--out",
            str(tmp_path),
            "--size",
            "32",
            "--block",
            "1",
            "--coarse-share",
            "0",
            "--features",
            "4",
            "--depth",
            "3",
            "--epochs",
            "1",
            "--epoch-slices",
            "16",
            "--batch",
            "8",
            "--context",
            "0",
        ]
    )
    assert load_checkpoint(tmp_path / "last.pt").recipe.channels == 3
    told = capsys.readouterr()
    assert (
        "valid_dice" in told.out and "epoch   1  loss " in told.out and "no --out" not in told.err
    )


@pytest.mark.parametrize(
    ("share", "held_out"), [([], 2), (["--valid", "0.5"], 4), (["--valid", "0"], 0)]
)
def test_the_command_holds_patients_out(phantom_cohort, monkeypatch, capsys, share, held_out):
    asked = []

    def fit(model, cohort, train_patients, valid_patients, config, progress):
        asked.append((train_patients, valid_patients, config.seed))
        return pd.DataFrame({"epoch": [1, 2], "valid_dice": [0.25, 0.75]})

    monkeypatch.setattr(train, "open_cohort", lambda path, progress: phantom_cohort)
    monkeypatch.setattr(train, "fit", fit)
    main(["--features", "4", "--depth", "2", "--seed", "3", *share])
    (training, held, seed), told = asked[0], capsys.readouterr()
    assert (
        len(held) == held_out
        and sorted([*training, *held]) == phantom_cohort.patients
        and seed == 3
    )
    if held:
        assert (
            held
            == split_patients(phantom_cohort.patients, (1 - len(held) / 8, len(held) / 8), seed=3)[
                1
            ]
        )
    assert told.out.split() == ["epoch", "valid_dice", "2", "0.75"]  # the last epoch's row
    assert told.err == "no --out: nothing of this run will be kept\n"


def test_other_processes_than_the_first_let_it_speak(monkeypatch):
    slept = []
    monkeypatch.setattr(train.time, "sleep", slept.append)
    for rank, waited in (("0", []), ("1", [2])):
        monkeypatch.setenv("RANK", rank)
        with pytest.raises(SystemExit):
            main(["--data", "/nowhere"])
        assert slept == waited


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--batch", "0"], "batch=0: it must be from 1 to 4096"),
        (["--data", "/nowhere"], "/nowhere: no folder such as"),
        (["--start", "nowhere.pt"], "nowhere.pt: no such checkpoint"),
    ],
)
def test_the_command_says_what_is_wrong_in_one_line(arguments, told, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--size", "32", "--block", "1", *arguments])
    lines = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert (
        stop.value.code == 2
        and len(lines) == 1
        and lines[0].startswith("error: ")
        and told in lines[0]
    )
