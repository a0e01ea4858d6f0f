"""Break a file of lggseg/ in one place at a time, in memory, and see whether its tests notice.

    python -m dev.tools.mutate lggseg/measures/metrics.py tests/measures/test_metrics.py
    --noconftest

What is broken: comparisons, operators, numbers, truth values, names in quotes, conditions, calls
for their effect, returned values. Each mutant runs the tests in a fork of one process that has the
libraries loaded, so it takes little longer than the tests alone; nothing on disk is touched. It is
killed if a test fails, the import breaks, or the tests take several times as long. Survivors are
printed with their line: a test is missing, or the change makes no difference. Docstrings, prose,
annotations and what is raised are left alone. Options not known here go to pytest: without a
conftest.py that the tests do not need, a mutant takes a second. Needs a system that forks (Linux,
macOS).
"""

import argparse
import ast
import copy
import importlib.abc
import importlib.util
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Patience with a mutant, in processor time: so many times the unbroken tests.
TIMES, LEAST_SECONDS = (5, 10)
PRELOAD = [
    "pytest",
    "pandas",
    "scipy.stats",
    "scipy.optimize",
    "skimage.measure",
    "torch",
    "tqdm.auto",
    "monai.losses",
    "monai.metrics",
]
SWAPS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Add,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


def broken(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in the place of `node`, each wrong in one way."""
    changed = copy.copy(node)
    if isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            yield ast.Compare(
                node.left, [*node.ops[:i], SWAPS[type(op)](), *node.ops[i + 1 :]], node.comparators
            )
    elif isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp) and type(node.op) in SWAPS:
        changed.op = SWAPS[type(node.op)]()
        yield changed
    elif isinstance(node, ast.UnaryOp):
        yield node.operand  # without its not, minus or ~
    elif isinstance(node, ast.Constant):
        yield from map(ast.Constant, other_constants(node.value))
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        changed.test = ast.UnaryOp(ast.Not(), node.test)
        yield changed
    elif isinstance(node, ast.Return) and node.value and ast.unparse(node.value) != "None":
        yield ast.Return(ast.Constant(None))
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield ast.Pass()


def other_constants(value: object) -> list[object]:
    """A value near, but not equal to, a truth value, a number, or a text without blanks."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1 if isinstance(value, int) else value * 1.1 + 0.01]
    return [value + "x"] if isinstance(value, str) and not set(value) & {" ", ":"} else []


def left_alone(tree: ast.AST) -> set[int]:
    """Ids of the nodes that are no behaviour: docstrings, annotations, what is raised, imports for
    annotations.
    """
    parts = []
    for node in ast.walk(tree):
        parts += filter(None, (getattr(node, "annotation", None), getattr(node, "returns", None)))
        if isinstance(node, ast.Raise) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        ):
            parts.append(node)
        if isinstance(node, ast.If) and ast.unparse(node.test) in (
            "TYPE_CHECKING",
            "__name__ == '__main__'",
        ):
            parts.append(node)
    return {id(inner) for part in parts for inner in ast.walk(part)}


def mutants(source: str) -> Iterator[tuple[int, str, str]]:
    """Line, what changed, and the whole changed source of every mutant."""
    tree = ast.parse(source)
    spared = left_alone(tree)
    for parent in list(ast.walk(tree)):
        for field, value in ast.iter_fields(parent):
            for i, node in enumerate(value if isinstance(value, list) else [value]):
                if isinstance(node, ast.AST) and id(node) not in spared:
                    for changed in broken(node):
                        put(
                            parent,
                            field,
                            i,
                            ast.fix_missing_locations(ast.copy_location(changed, node)),
                        )
                        words = [ast.unparse(n).split("\n")[0] for n in (node, changed)]
                        yield getattr(node, "lineno", 0), "  ->  ".join(words), ast.unparse(tree)
                        put(parent, field, i, node)


def put(parent: ast.AST, field: str, i: int, node: ast.AST) -> None:
    value = getattr(parent, field)
    setattr(parent, field, [*value[:i], node, *value[i + 1 :]] if isinstance(value, list) else node)


class Instead(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from another source than its file's."""

    def __init__(self, path: Path, source: str):
        self.name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        self.path, self.source, self.used = path, source, False

    def find_spec(self, name, path, target=None):
        if name == self.name:
            return importlib.util.spec_from_file_location(
                name,
                self.path,
                loader=self,
                submodule_search_locations=(
                    [str(self.path.parent)] if self.path.stem == "__init__" else None
                ),
            )

    def exec_module(self, module):
        self.used = True
        exec(compile(self.source, str(self.path), "exec"), module.__dict__)


def passes(path: Path, source: str, tests: list[str], seconds: float) -> bool:
    """Whether the tests pass with the changed source, in a fork, within so many seconds of
    processor time.
    """
    child = os.fork()
    if child == 0:
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        signal.setitimer(signal.ITIMER_PROF, seconds)  # ends the process, whatever it is in
        import pytest

        sys.meta_path.insert(0, instead := Instead(path, source))
        failed = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests]))
        os._exit(failed if instead.used else 1)
    return os.waitpid(child, 0)[1] == 0


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("tests", nargs="+")
    options, more = parser.parse_known_args(arguments)
    path, tests = options.file.resolve(), [*options.tests, *more]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    with warnings.catch_warnings(action="ignore"):
        for name in PRELOAD:
            importlib.import_module(name)
    source, before = path.read_text(encoding="utf-8"), os.times().children_user
    if not passes(path, ast.unparse(ast.parse(source)), tests, 600):
        parser.exit(
            2, "error: the tests fail before anything is broken, or never import the file\n"
        )
    seconds = max(LEAST_SECONDS, TIMES * (os.times().children_user - before))
    made = list(mutants(source))
    alive = [
        (line, change) for line, change, changed in made if passes(path, changed, tests, seconds)
    ]
    for line, change in sorted(alive):
        print(f"{options.file}:{line}: {change}")
    print(
        f"{options.file}: {len(made) - len(alive)} of {len(made)} killed, "
        f"{1 - len(alive) / max(1, len(made)):.0%}"
    )


if __name__ == "__main__":
    main()
