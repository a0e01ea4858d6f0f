"""Errors and names read off the code: none is forgotten, and docstrings come out as
reStructuredText.
"""

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
    numbers = (0, 1, 2, 3, 4, 5, 7)  # solutions of exercises
    assert left_out == {"__init__.py", *(f"nb{number:02}.py" for number in numbers)}


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
    assert (
        reference.entry("lggseg.measures.shape.asd")
        == ":py:obj:`asd <lggseg.measures.shape.asd>`\n"
        "   Short for \\ ``angular_standard_deviation``\\ .\n   \n"
    )


def test_docstrings_become_restructured_text():
    lines = ["Mean of `x`* and y_.", "", "x     float (N,)", "name  text", "", ">>> 1 + 1", "2"]
    assert reference.as_rst(lines) == [
        "Mean of \\ ``x``\\ \\* and y\\_.",
        "",
        "::",
        "",
        "   x     float (N,)",
        "   name  text",
        "",
        ">>> 1 + 1",
        "2",
        "",
    ]
