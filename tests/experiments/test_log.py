"""The log: every command in it is one, and every number in it is in the tables."""

import re
import shlex
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest

from experiments.ablation import summary
from experiments.compare import read_scores, table
from experiments.robustness import TOGETHER, comparison
from lggseg.training.config import config_of

ROOT = Path(__file__).resolve().parents[2]
LOG = (ROOT / "experiments" / "README.md").read_text(encoding="utf-8")


def commands() -> list[list[str]]:
    """Every command printed, as words: module first."""
    blocks = re.findall(r"^```\n(.*?)^```$", LOG, re.DOTALL | re.MULTILINE)
    lines = "\n".join(blocks).replace("\\\n", "").splitlines()
    return [shlex.split(line)[2:] for line in lines if line.startswith("python -m ")]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_is_one(words):
    module, *rest = words
    if module.startswith("lggseg."):
        return
    options = import_module(module).options().parse_args(rest)
    if getattr(options, "config", None):
        options.config = ROOT / options.config
        config_of(options)


def test_there_are_commands_and_every_recipe_is_named():
    assert len(commands()) > 25
    named = {Path(word).stem for words in commands() for word in words if word.endswith(".toml")}
    assert named == {path.stem for path in (ROOT / "experiments" / "recipes").glob("*.toml")}


def rows() -> list[tuple[str, str, str, str]]:
    """(run, mean, low, high) of the tables' rows that name a run in a column of its own."""
    return re.findall(
        r"^\| [^|]+ \| `(\S+)` \| \+?(-?[\d.]+) \| (-?[\d.]+) to (-?[\d.]+) \|$", LOG, re.MULTILINE
    )


def test_differences_are_those_of_the_tables():
    results, known = ROOT / "experiments" / "results", {}
    for name, base in (("screen", "base"), ("inference", "shipped")):
        known |= table(read_scores(results / f"{name}.csv"), base).round(3).to_dict("index")
    assert len(rows()) == 21
    for run, *told in rows():
        assert [float(value) for value in told] == [
            known[run][name] for name in ("difference", "low", "high")
        ], run


@pytest.mark.parametrize(
    ("file", "run", "base", "told"),
    [
        ("second", "wide24", "base", "-0.015 (-0.031 to 0.000)"),
        ("second", "efficient", "mixed", "+0.005 (-0.010 to 0.019)"),
        ("second", "efficient", "second", "+0.003 (-0.010 to 0.016)"),
        ("second", "seed100", "base", "-0.008 | -0.023 to 0.004 |"),
        ("second", "context1", "base", "-0.011 | -0.026 to -0.001 |"),
        ("second", "plain128", "base", "-0.009 | -0.029 to 0.006 |"),
        ("second", "members", "base", "-0.007 | -0.023 to 0.004 |"),
        ("second", "context1", "seed100", "-0.003 (-0.011 to 0.003)"),
        ("second", "plain128", "seed100", "-0.001 (-0.015 to 0.012)"),
        ("second", "carve_mix", "base", "+0.010 (-0.009 to 0.034)"),
        ("second", "carve_mix", "second", "-0.001 (-0.009 to 0.009)"),
        ("finetune", "size_192", "start", "+0.013 (0.001 to 0.024)"),
        ("finetune", "size_128", "start", "(-0.022 to 0.019)"),
        ("finetune", "size_256", "start", "-0.006 (-0.046 to 0.026)"),
        ("stages", "fine", "coarse", "| +0.016 | 0.005 to 0.029 |"),
        ("stages", "mixed", "fine", "| -0.006 | -0.026 to 0.011 |"),
        ("stages", "crossval", "coarse", "| +0.024 | 0.009 to 0.044 |"),
        ("stages", "crossval", "fine", "| +0.008 | 0.002 to 0.016 |"),
        ("stages", "grafts", "fine", "| +0.014 | -0.001 to 0.033 |"),
        ("stages", "cysts", "fine", "| +0.001 | -0.015 to 0.018 |"),
        ("stages", "robust", "fine", "| -0.013 | -0.035 to 0.004 |"),
        ("second", "first_edition", "base", "0.018 worse (0.002 to 0.035)"),
        ("second", "mixed", "base", "+0.005 (-0.010 to 0.021)"),
        ("second", "second", "base", "+0.010 (-0.008 to 0.033)"),
        ("second", "second", "mixed", "+0.006 (-0.002 to 0.013)"),
        ("second", "second", "together", "+0.001 (-0.007 to 0.010)"),
        ("fitted", "trained_for_longer", "trained_on", "-0.001 (-0.011 to 0.008)"),
        ("after", "best_threshold", "chosen", "0.007 (0.005 to 0.010)"),
        ("student", "student", "teacher", "-0.002 (-0.005 to 0.002)"),
        ("third", "rough", "base", "-0.012 (-0.031 to 0.007)"),
        ("third", "neighbours", "rough", "-0.002 (-0.017 to 0.016)"),
        ("third", "joined", "rough", "+0.007 (-0.003 to 0.019)"),
        ("third", "joined", "base", "-0.005 (-0.017 to 0.010)"),
        ("third", "joined", "neighbours", "+0.009 (0.001 to 0.018)"),
        ("third", "milder", "rough", "+0.011 (0.004 to 0.020)"),
        ("third", "milder", "base", "(-0.000, -0.019 to 0.019)"),
        ("third", "milder_joined", "joined", "+0.007 (0.003 to 0.011)"),
        ("third", "milder_joined", "base", "+0.002 (-0.009 to 0.016)"),
        ("third", "ghosts", "milder", "+0.004 (-0.005 to 0.016)"),
        ("third", "ghosts_neighbours", "neighbours", "+0.004 (-0.002 to 0.011)"),
        ("third", "ghosts_joined", "milder_joined", "-0.002 (-0.007 to 0.002)"),
        ("third", "halfway", "milder", "+0.001 (-0.001 to 0.004)"),
        ("third", "halfway_neighbours", "neighbours", "+0.005 (0.001 to 0.011)"),
        ("third", "halfway_joined", "milder_joined", "+0.001 (-0.001 to 0.002)"),
        ("third", "halfway_joined", "ghosts_joined", "+0.003 (0.000 to 0.007)"),
        ("third", "halfway_joined", "base", "+0.003 (-0.009 to 0.017)"),
        ("third", "small", "neighbours", "+0.001 (-0.024 to 0.023)"),
        ("third", "small", "halfway_neighbours", "-0.002 (-0.029 to 0.019)"),
        ("third", "small", "halfway", "-0.020 (-0.052 to 0.000)"),
        ("../../lggseg/published/learning", "patients10", "patients5", "0.000 (-0.042 to 0.040)"),
        ("../../lggseg/published/learning", "patients40", "patients10", "+0.067 (0.035 to 0.105)"),
        ("../../lggseg/published/learning", "brief", "patients40", "-0.021 (-0.044 to -0.002)"),
        ("../../lggseg/published/learning", "brief_again", "brief", "+0.042 (-0.001 to 0.112)"),
        ("../../lggseg/published/learning", "drawn5", "patients5", "+0.035 (0.006 to 0.072)"),
        ("../../lggseg/published/learning", "drawn10", "patients10", "0.000 (-0.029 to 0.022)"),
        ("../../lggseg/published/learning", "drawn20", "patients20", "+0.038 (0.013 to 0.067)"),
    ],
)
def test_what_is_told_is_in_the_tables(file, run, base, told):
    found = (
        table(read_scores(ROOT / "experiments" / "results" / f"{file}.csv"), base).loc[run].round(3)
    )
    numbers = [float(number) for number in re.findall(r"-?[\d.]+\d", told)]
    assert told in " ".join(LOG.split()) and numbers[-2:] == [found.low, found.high]
    assert len(numbers) == 2 or numbers[0] == found.difference


@pytest.mark.parametrize(
    ("run", "before", "figure", "told"),
    [
        ("milder", "joined", "clean", "clean +0.007 (0.003 to 0.012)"),
        ("milder", "joined", "changed", "changed +0.005 (0.001 to 0.011)"),
        ("milder", "joined", "both", "both, which decides, +0.006 (0.002 to 0.011)"),
        ("milder", "joined", "worst", "perhaps worse: -0.009 (-0.023 to 0.003)"),
        ("ghosts", "milder", "clean", "Clean -0.003 (-0.008 to 0.000)"),
        ("ghosts", "milder", "changed", "changed +0.001 (-0.003 to 0.005)"),
        ("ghosts", "milder", "both", "both -0.001 (-0.005 to 0.002)"),
        ("ghosts", "milder", "worst", "the worst of each patient +0.026 (0.008 to 0.048)"),
        ("halfway", "milder", "clean", "clean 0.000 (-0.001 to 0.002)"),
        ("halfway", "milder", "changed", "changed +0.002 (0.000 to 0.005)"),
        ("halfway", "milder", "both", "both, which decides, +0.001 (0.000 to 0.003)"),
        ("halfway", "milder", "worst", "the worst of each patient +0.023 (0.009 to 0.040)"),
        ("small", "halfway", "clean", "clean +0.002 (-0.003 to 0.007)"),
        ("small", "halfway", "changed", "changed +0.001 (-0.006 to 0.007)"),
        ("small", "halfway", "both", "both +0.002 (-0.004 to 0.007)"),
        ("small", "halfway", "worst", "worst of each patient -0.002 (-0.018 to 0.008)"),
    ],
)
def test_rough_scans_are_told_as_in_their_tables(run, before, figure, told):
    found = comparison(rough(run), rough(before)).loc[figure].round(3)
    numbers = [float(number) for number in re.findall(r"-?\d\.\d+", told)]
    assert told in " ".join(LOG.split())
    assert numbers == [found.difference, found.low, found.high]


def rough(run: str) -> pd.DataFrame:
    """Dice of patients under changes, as `comparison` takes them; `halfway` is what is shipped."""
    name = "robustness.csv" if run == "halfway" else f"robustness_{run}.csv"
    scores = read_scores(ROOT / "experiments" / "results" / name)
    return scores.rename(columns={"run": "change"}).assign(judge=TOGETHER)


@pytest.mark.parametrize(
    ("run", "before", "change", "told"),
    [
        ("milder", "joined", "ghosts 0.12", "(0.789, before 0.801)"),
        ("milder", "joined", "ghosts 0.4", "(0.438, before 0.509)"),
        ("ghosts", "milder", "ghosts 0.12", "ghosts of 0.12 0.823, before 0.789"),
        ("ghosts", "milder", "ghosts 0.4", "of 0.4 0.595, before 0.438"),
        ("halfway", "milder", "ghosts 0.12", "Ghosts of 0.12 have 0.815, before 0.789"),
        ("halfway", "milder", "ghosts 0.4", "ghosts of 0.4 0.512, before 0.438"),
    ],
)
def test_ghosts_are_told_as_in_their_tables(run, before, change, told):
    means = [table.dice[table.change == change].mean() for table in (rough(run), rough(before))]
    assert told in " ".join(LOG.split())
    assert [float(number) for number in re.findall(r"0\.\d{3}", told)] == pytest.approx(
        means, abs=0.0006
    )


def test_every_change_is_told_as_in_its_table():
    found = summary(pd.read_csv(ROOT / "experiments" / "results" / "ablation.csv")).round(3)
    lines = re.findall(r"^\| [^|]+ \| `(\w+)` ((?:\|[^|\n]*){7})\|$", LOG, re.MULTILINE)
    assert [name for name, _ in lines] == found.index.tolist()
    columns = ["clean", "changed", "worst", "catastrophes", "gain", "low", "high", "least", "most"]
    for name, text in lines:
        told = [float(number) for number in re.findall(r"-?\d+\.\d+", text)]
        row = found.loc[name, columns]
        row["catastrophes"] = row["catastrophes"].round(1)
        assert told == row.tolist()[: len(told)], name
        assert len(told) == (4 if name == "recipe" else 9)
