"""Pages of the site about the code: the errors one can meet, and the reference.

Both are sorted by what a reader was doing, AREAS. The errors are read off the code here; the
reference is a list of modules, whose docstrings Sphinx's autosummary and numpydoc turn into pages.
"""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from .stamp import ROOT

PACKAGE = ROOT / "lggseg"
AREAS = {  # what one does: title, and files or folders of the package, in the order of reading
    "cohort": (
        "Opening the data set",
        [
            "data.cohort",
            "data.places",
            "data.folder",
            "data.clinical",
            "data.splits",
            "data.dataset",
            "data.array_cache",
            "data.cache_folder",
            "patient_ids",
            "sequences",
            "settings",
            "masks",
            "errors",
        ],
    ),
    "scans": (
        "Reading a scan of your own",
        [
            "scans.read",
            "scans.segment",
            "scans.pictures",
            "scans.picture_file",
            "scans.nifti",
            "scans.itk",
            "scans.dicom",
            "scans.channels",
            "scans.own_scan",
            "scans.grid",
            "scans.intensity",
        ],
    ),
    "network": (
        "Building a network and preparing its input",
        [
            "unet",
            "prepare.network_grid",
            "prepare.head_finder",
            "prepare.augment",
            "prepare.scanner",
            "training.losses",
            "model.device",
        ],
    ),
    "training": (
        "Training",
        [
            "training.config",
            "training.build",
            "training.fit",
            "train",
            "training.trainer",
            "training.distributed",
        ],
    ),
    "prediction": (
        "Weights and predictions",
        [
            "model.segmenter",
            "model.checkpoint",
            "model.postprocess",
            "predict",
            "export",
            "scans.write",
            "files",
        ],
    ),
    "measures": (
        "Measuring masks and shapes",
        [
            "measures.metrics",
            "measures.evaluation",
            "measures.shape",
            "measures.ellipsoid",
            "measures.baseline",
            "measures.trust",
            "published_tables",
        ],
    ),
    "genomics": ("Testing shape against genes", ["genomics"]),
    "viewers": ("Looking at scans and drawing figures", ["viewer"]),
    "phantoms": ("Drawing phantoms, and exercises", ["phantom", "exercises.base"]),
}


@dataclass(frozen=True)
class Refusal:
    """One `raise LggError`: its message, placeholders in ⟨⟩; where it is raised; what that function
    is for.
    """

    message: str
    place: str
    purpose: str


def modules(names: list[str], package: Path = PACKAGE) -> dict[str, Path]:
    """Every file behind these dotted names, folders with all that is in them: lggseg.unet ->
    .../unet.py.
    """
    found = {}
    for name in names:
        path = package / name.replace(".", "/")
        files = sorted(path.glob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
        for file in files:
            parts = ("lggseg", *file.relative_to(package).with_suffix("").parts)
            found[".".join(parts).removesuffix(".__init__")] = file
    return found


def refusals(module: str, path: Path) -> list[Refusal]:
    """Every LggError that a file raises, from its first line to its last."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    owner = {
        part: f"{node.name}."
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for part in node.body
    }
    for scope in ast.walk(tree):
        if isinstance(scope, ast.FunctionDef):
            for node in ast.walk(scope):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "LggError":
                    found += [
                        (node.lineno, node.col_offset, message, scope)
                        for message in messages(node.args[0])
                    ]
    # The innermost function.
    inner = {(line, column, message): scope for line, column, message, scope in found}
    return [
        Refusal(message, f"{module}.{owner.get(scope, '')}{scope.name}", first_sentence(scope))
        for (_, _, message), scope in sorted(inner.items(), key=lambda item: item[0])
    ]


def first_sentence(function: ast.FunctionDef) -> str:
    return " ".join(re.split(r"[.;:](?=\s|$)|\n\n", ast.get_docstring(function) or "")[0].split())


def messages(node: ast.expr) -> list[str]:
    """What a string may be before the code runs, ⟨in these brackets⟩ what only a run can tell."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.FormattedValue):
        return [f"⟨{name_of(node.value)}⟩"]
    if isinstance(node, ast.IfExp):
        return messages(node.body) + messages(node.orelse)
    if isinstance(node, ast.JoinedStr):
        parts = node.values
    else:
        parts = (
            [node.left, node.right]
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add)
            else []
        )
    texts = [""] if parts else ["⟨" + name_of(node) + "⟩"]
    for part in parts:
        texts = [text + more for text in texts for more in messages(part)]
    return texts


def name_of(node: ast.expr) -> str:
    """A short name for a value: `entry.name` is "entry name", `len(found)` "number of found"."""
    if isinstance(node, ast.Name):
        return node.id.replace("_", " ").lower()
    if isinstance(node, ast.Attribute):
        owner = name_of(node.value)
        own = node.attr.replace("_", " ")
        return own if owner in ("self", "np", "os") else f"{owner} {own}"
    if isinstance(node, ast.IfExp):
        return f"{name_of(node.body)} or {name_of(node.orelse)}"
    if isinstance(node, ast.Call):
        inner = name_of((node.args or [getattr(node.func, "value", node.func)])[0])
        return f"number of {inner}" if getattr(node.func, "id", "") == "len" else inner
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.GeneratorExp):
        return name_of(node.generators[0].iter)
    inside = {
        ast.Subscript: "value",
        ast.BinOp: "left",
        ast.BoolOp: "values",
        ast.Starred: "value",
    }.get(type(node))
    if inside is None:
        return "value"
    value = getattr(node, inside)
    return name_of(value[0] if isinstance(value, list) else value)


def errors_page() -> str:
    """ "When something goes wrong", in Markdown."""
    text = [ERRORS]
    for title, names in AREAS.values():
        found = [
            refusal for module, path in modules(names).items() for refusal in refusals(module, path)
        ]
        if found:
            text.append(f"## {title}\n")
        for refusal in found:
            purpose = f": {refusal.purpose}" if refusal.purpose else ""
            text.append(f"```text\n{refusal.message}\n```\n\nFrom `{refusal.place}`{purpose}.\n")
    return "\n".join(text)


ERRORS = """# When something goes wrong

Bad input raises `LggError`, a `ValueError`. Its message names the file or value, the rule that it
breaks, and what to do. Commands print it in one line and end with exit code 2. Here is every one
there is, read off the code and sorted by what you were doing; what only a run can tell stands
⟨in these brackets⟩. Search the page for a word of yours.

Any other exception is a mistake of the package: please report it, with its last lines. Never send
pictures of patients.
"""


REFERENCE = """# Reference

What `import lggseg` offers:

```{{eval-rst}}
.. autosummary::

{names}
```

Below are the files that these names come from, sorted by what one does.

{areas}
"""
AREA = """## {title}

```{{eval-rst}}
.. autosummary::
   :toctree: .
   :template: module.rst

{modules}
```
"""


def reference_page() -> str:
    """The reference in Markdown: Sphinx's autosummary makes a page for each module from it."""
    areas = []
    for title, names in AREAS.values():
        documented = [name for name, path in modules(names).items() if defines_something(path)]
        areas.append(AREA.format(title=title, modules=indented(documented)))
    public = [f"~{name}" for name in public_names()]
    return REFERENCE.format(names=indented(public), areas="\n".join(areas))


def defines_something(path: Path) -> bool:
    """Whether a file has functions or classes, and is not just a list of imports."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in body)


def indented(names: list[str]) -> str:
    return "\n".join(f"   {name}" for name in names)


def public_names(stub: Path = PACKAGE / "__init__.pyi") -> list[str]:
    """The names of `import lggseg` with their modules, such as lggseg.measures.metrics.dice, sorted
    by the name itself.
    """
    tree = ast.parse(stub.read_text(encoding="utf-8"))
    return sorted(
        (f"lggseg.{line.module}.{name.name}" for line in tree.body for name in line.names),
        key=lambda name: name.rpartition(".")[2].lower(),
    )
