"""Pages of the site that are read off the code: the errors one can meet, and the reference of
names.

Both are sorted by what a reader was doing, AREAS.
"""

import ast
import inspect
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
    tree, found = ast.parse(path.read_text(encoding="utf-8")), []
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
    parts = (
        node.values
        if isinstance(node, ast.JoinedStr)
        else [node.left, node.right]
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
        owner, own = name_of(node.value), node.attr.replace("_", " ")
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


def reference_pages() -> dict[str, str]:
    """The reference of names in Markdown, a page per area, and one that lists what `import lggseg`
    offers.
    """
    pages = {
        "index": REFERENCE.format(
            toctree="\n".join(AREAS), names="\n".join(map(entry, public_names()))
        )
    }
    for area, (title, names) in AREAS.items():
        text = [f"# {title}\n"]
        for module, path in modules(names).items():
            body = ast.parse(path.read_text(encoding="utf-8")).body
            if any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in body):
                heading = module.replace("_", r"\_")  # two of them would make __main__ bold
                text.append(
                    f"## {heading}\n\n```{{eval-rst}}\n.. automodule:: {module}\n   "
                    ":members:\n```\n"
                )
        pages[area] = "\n".join(text)
    return pages


def public_names(stub: Path = PACKAGE / "__init__.pyi") -> list[str]:
    """Where each name of `import lggseg` is at home, such as lggseg.measures.metrics.dice, by the
    alphabet.
    """
    tree = ast.parse(stub.read_text(encoding="utf-8"))
    return sorted(
        (f"lggseg.{line.module}.{name.name}" for line in tree.body for name in line.names),
        key=lambda name: name.rpartition(".")[2].lower(),
    )


def entry(name: str) -> str:
    """A public name with the first paragraph of its docstring, in reStructuredText."""
    import lggseg

    short = name.rpartition(".")[2]
    value = getattr(lggseg, short)
    if not hasattr(value, "__name__"):
        first = [f"A constant, of type {type(value).__name__}."]
    elif value.__name__ != short:
        first = [f"Short for `{value.__name__}`."]
    else:
        first = inspect.getdoc(value).split("\n\n")[0].splitlines()
    return f":py:obj:`{short} <{name}>`\n   " + "\n   ".join(as_rst(first)) + "\n"


REFERENCE = """# Reference

What `import lggseg` offers. The pages below also describe the functions behind these.

```{{eval-rst}}
{names}
```

```{{toctree}}
:maxdepth: 1

{toctree}
```
"""


def as_rst(docstring: list[str]) -> list[str]:
    """Lines of one of our docstrings, plain prose with `code`, aligned tables and examples, as
    reStructuredText.
    """
    lines = []
    for block in re.split(r"\n\s*\n", "\n".join(docstring).strip()):
        if block.lstrip().startswith(">>>"):
            lines += block.splitlines()
        elif re.search(r"^\S.* {2,}\S|^ +\S", block, re.MULTILINE):  # columns
            lines += ["::", "", *("   " + line for line in block.splitlines())]
        else:
            lines += prose(block).splitlines()
        lines.append("")
    return lines


def prose(text: str) -> str:
    """Prose with nothing that reStructuredText would read as markup, but `code` as code."""
    parts = re.split(r"`+([^`]+)`+", text)
    parts[::2] = [re.sub(r"([\\*_|])", r"\\\1", part) for part in parts[::2]]
    parts[1::2] = [rf"\ ``{part}``\ " for part in parts[1::2]]
    return "".join(parts)
