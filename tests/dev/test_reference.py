"""Errors and names read off the code: none is forgotten."""

import ast
from pathlib import Path

import pytest

import lggseg
from dev.tools import reference

FILES = sorted(Path(lggseg.__path__[0]).rglob("*.py"))
SAMPLE = '''
def outer(path):
    """Read a file; or not.

    More."""
    if path:
        raise LggError(f"{path.name}: {len(found)} of {max(need, 1)} bytes; copy it " "again")
    class Inner:
     def method(self):
      raise LggError("no such file" if path else f"{path}: damaged")
'''


def documented() -> set[Path]:
    return {
        path for _, names in reference.AREAS.values() for path in reference.modules(names).values()
    }


def test_every_file_has_its_area():
    left_out = {path.name for path in set(FILES) - documented()}
    exercises = {path.name for path in FILES if path.parent.name == "exercises"} - {"base.py"}
    assert left_out == {"__init__.py", *exercises}


def test_every_error_is_on_the_page():
    raised = sum(
        getattr(node.func, "id", "") == "LggError"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    )
    assert reference.errors_page().count("```text\n") >= raised > 150


def test_a_message_with_what_only_a_run_can_tell_in_brackets(tmp_path):
    (tmp_path / "m.py").write_text(SAMPLE)
    outer, *inner = reference.refusals("lggseg.m", tmp_path / "m.py")
    assert outer == reference.Refusal(
        "⟨path name⟩: ⟨number of found⟩ of ⟨need⟩ bytes; copy it again",
        "lggseg.m.outer",
        "Read a file",
    )
    assert [(each.message, each.place) for each in inner] == [
        ("no such file", "lggseg.m.Inner.method"),
        ("⟨path⟩: damaged", "lggseg.m.Inner.method"),
    ]


@pytest.mark.parametrize(
    "code, message",
    [
        ("'a' + (f'b {x}' if x else 'c')", ["ab ⟨x⟩", "ac"]),
        ("f'{self.label} {rows[0]!r}'", ["⟨label⟩ ⟨rows⟩"]),
        ("f'{a or b}, {x if y else z}'", ["⟨a⟩, ⟨x or z⟩"]),
        ("f\"{', '.join(k for k in known)}\"", ["⟨known⟩"]),
    ],
)
def test_messages(code, message):
    assert reference.messages(ast.parse(code, mode="eval").body) == message


def test_all_public_names_are_listed_with_their_homes():
    names = reference.public_names()
    assert {name.rpartition(".")[2] for name in names} == set(lggseg.__all__)
    assert "lggseg.measures.metrics.dice" in names


def test_the_reference_names_every_module_that_defines_something():
    page = reference.reference_page()
    assert "\n   lggseg.measures.metrics\n" in page and "\n   lggseg.sequences\n" in page
    assert "\n   lggseg.data\n" not in page  # its __init__ only imports
    assert page.count("## ") == len(reference.AREAS)
