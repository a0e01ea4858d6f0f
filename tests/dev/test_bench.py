"""The benchmark runs, its sides take turns, and its own ways of doing things give right answers.

No time is judged.
"""

import sys

import numpy as np
import pytest

if sys.platform == "win32":
    pytest.skip(
        "the benchmark asks for the load of the machine and the peak of a process",
        allow_module_level=True,
    )

from dev.benchmarks import __main__ as command
from dev.benchmarks import table
from dev.benchmarks.bench import Bench, folders
from dev.benchmarks.feed import fitted, one_by_one
from dev.benchmarks.genomics import every_table, textbook_ellipsoid
from dev.benchmarks.timing import Ratio, Row, clock, compare, in_child, rounds, share, short


@pytest.fixture
def bench(phantom_cohort):
    bench = Bench(phantom_cohort.root, repeats=1, quick=True)
    yield bench
    bench.close()


def test_the_command_prints_one_table(phantom_cohort, capsys):
    command.main(["--quick", "--only", "feed", "genomics", "--real", str(phantom_cohort.root)])
    text = capsys.readouterr().out.rpartition(table.HEAD)[2]
    whats = [
        line.split(" | ")[0].removeprefix("| ")
        for line in text.splitlines()
        if line.startswith("| ")
    ]
    assert whats == [
        "feed: a batch, augmented",
        "shape features",
        *["exact test, the paper's largest table"] * 2,
    ]


def test_a_training_step_is_taken_apart(bench):
    [row] = command.FAMILIES["train"](bench)
    assert "convolutions " in row.note and "augmentation " in row.note and row.time.median > 0


def test_a_folder_without_patients_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        command.main(["--real", str(tmp_path)])
    assert "no folder of patients" in capsys.readouterr().err


def test_sides_take_turns():
    calls = []

    def side(name, cost):
        return lambda: calls.append(name) or cost

    assert compare(side("ours", 2), side("usual", 6), repeats=3) == Ratio(3, 3, 3)
    assert calls == ["ours", "usual"] * 3
    assert rounds(2, side("a", (1, 2)), side("b", (3, 4))).tolist() == [[[1, 2], [3, 4]]] * 2


def test_clock_calls_once_to_warm_up_and_at_least_once_to_measure():
    calls = []
    side = clock(lambda: calls.append(0), least=0)
    assert len(calls) == 1 and side() > 0 and len(calls) == 2


def test_a_child_tells_its_time_and_its_peak():
    seconds, peak = in_child(
        exec, "import time; block = b'x' * 80_000_000; del block; time.sleep(0.2)"
    )
    assert seconds > 0.2 and 75 < peak < 160


def test_ratios_are_told_with_their_range():
    assert str(Ratio.of(np.array([1.5, 31.4, 2.04]))) == "2.0 (1.5-31)"
    assert [short(value) for value in (0.0123, 0.947, 3.14159, 14.2, 99.4, 123.6, 1234.5)] == [
        "0.01",
        "0.95",
        "3.1",
        "14",
        "99",
        "124",
        "1230",
    ]
    assert share(np.array([0.5, 0.61, 0.55])) == "55 % (50-61)"


def test_the_table_goes_between_its_marks(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("above\n<!-- table -->\nold\n<!-- /table -->\nbelow\n")
    text = table.table([Row("a", "b", Ratio(2, 1, 3), note="Told below.")], "here")
    for _ in range(2):  # a second time changes nothing
        table.write(text, path)
    assert path.read_text() == (
        f"above\n<!-- table -->\nhere\n\n{table.HEAD}\n| a | b | 2.0 (1.0-3.0) |  |  |\n\n"
        "Told below.\n<!-- /table -->\nbelow\n"
    )
    assert (
        "<!-- table -->\n" in table.README.read_text()
        and "\n<!-- /table -->" in table.README.read_text()
    )


def test_a_part_of_a_cohort_is_a_cohort(bench):
    part = Bench(bench.first(2))
    assert part.cohort.patients == bench.cohort.patients[:2] and len(folders(bench.root)) == 8


def test_every_table_by_hand():
    assert every_table(np.array([[3, 1], [1, 3]])) == pytest.approx(34 / 70)  # the lady tasting tea


def test_the_textbooks_ellipsoid_is_near():
    octahedron = np.concatenate([np.eye(3), -np.eye(3)]) * (1, 2, 3)
    assert textbook_ellipsoid(octahedron) == pytest.approx(4 / 3 * np.pi * 6, rel=1e-6)


def test_slice_by_slice_keeps_the_grid():
    rng = np.random.default_rng(0)
    image, mask = one_by_one(rng.random((32, 32, 3)), np.ones((32, 32, 1)), rng)
    assert image.shape == (32, 32, 3) and mask.shape == (32, 32, 1) and mask.mean() > 0.8
    assert fitted(np.ones((3, 3, 1)), 5)[..., 0].sum() == 9 and fitted(
        np.ones((7, 7, 1)), 5
    ).shape == (5, 5, 1)
