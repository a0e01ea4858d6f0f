"""The mutation check breaks what is behaviour, one place at a time, and tells which breaks no test
noticed.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dev.tools.mutate import mutants

SOURCE = '''"""Prose stays as it is: 1 + 1."""

def clamp(x: int, most: int = 9) -> int:
    """Docstring with 2."""
    if not x < most:
        raise ValueError("spared: %d" % 3)
    print(x)
    return -x & 4
'''


def test_every_kind_of_behaviour_is_broken_once():
    changes = [change for _, change, _ in mutants(SOURCE)]
    assert sorted(changes) == sorted(
        [
            "9  ->  10",
            "not x < most  ->  x < most",
            "x < most  ->  x <= most",
            "if not x < most:  ->  if not not x < most:",
            "print(x)  ->  pass",
            "return -x & 4  ->  return None",
            "-x & 4  ->  -x | 4",
            "-x  ->  x",
            "4  ->  5",
        ]
    )


def test_each_mutant_differs_and_the_next_starts_afresh():
    sources = [changed for _, _, changed in mutants(SOURCE)]
    assert len(set(sources)) == len(sources) and all(
        source.count("Docstring with 2.") == 1 for source in sources
    )
    assert [line for line, change, _ in mutants(SOURCE) if change == "4  ->  5"] == [8]


def mutate(folder, *arguments):
    """The command on a folder of its own, without the libraries loaded beforehand."""
    code = (
        "from dev.tools import mutate; import pathlib;"
        "mutate.ROOT, mutate.PRELOAD = pathlib.Path.cwd(), ['pytest'];"
        f"mutate.LEAST_SECONDS = 2; mutate.main({list(arguments)})"
    )
    root = Path(__file__).resolve().parents[2]
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{folder}"},
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks")
def test_survivors_are_told(tmp_path):
    """Nobody asks for more than twice(2); an endless loop is ended."""
    (tmp_path / "small.py").write_text(
        "def twice(x):\n    while x > 99:\n        x -= 1\n    return x * 2\n"
    )
    (tmp_path / "test_small.py").write_text(
        "import small\n\n\ndef test_four():\n    assert small.twice(2) == 4\n"
    )
    run = mutate(tmp_path, "small.py", "test_small.py")
    assert run.returncode == 0, run.stderr
    *alive, total = run.stdout.splitlines()
    assert alive == [
        "small.py:2: 99  ->  100",
        "small.py:2: x > 99  ->  x >= 99",
        "small.py:3: 1  ->  2",
        "small.py:3: x -= 1  ->  x += 1",
    ]
    assert total == "small.py: 4 of 8 killed, 50%"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks")
@pytest.mark.parametrize(
    "test", ["def test_it():\n    pass\n", "import small\n\n\ndef test_it():\n    assert 0\n"]
)
def test_tests_that_say_nothing_are_refused(tmp_path, test):
    """Tests that do not import the file would let everything live, those that fail would kill
    everything.
    """
    (tmp_path / "small.py").write_text("x = 1\n")
    (tmp_path / "test_small.py").write_text(test)
    run = mutate(tmp_path, "small.py", "test_small.py")
    assert run.returncode == 2 and "error: the tests fail before anything is broken" in run.stderr
