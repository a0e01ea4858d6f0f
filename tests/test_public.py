"""What a reader can rely on: the names of `import lggseg`, type checkers too, and commands that run clean."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import lggseg

PACKAGE = Path(lggseg.__path__[0])
DESIGNED = """open_cohort download_cohort Cohort Volume split_patients fold_patients SliceDataset UNet UNetBlock
    dice_loss DiceLoss DiceBCELoss TrainConfig fit load_checkpoint save_checkpoint load_pretrained
    predict_volume segment_volume evaluate dice iou hausdorff95 asd mf bevr shape_features
    association_table SliceViewer CohortViewer ActivationViewer write_phantom_cohort Recipe Segmenter
    LggError""".split()


@pytest.mark.parametrize("name", sorted({*DESIGNED, *lggseg.__all__}))
def test_public_names(name):
    value = getattr(lggseg, name)
    assert value.__doc__ and value.__module__.startswith("lggseg.") and name in dir(lggseg)


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="unet3d"):
        lggseg.unet3d  # noqa: B018


def listed(stub: Path) -> list[tuple[str, str, str | None]]:
    """(module, name, name it gets) of every import in a stub; there is nothing else in it."""
    body = ast.parse(stub.read_text(encoding="utf-8")).body
    assert all(isinstance(node, ast.ImportFrom) and node.level == 1 for node in body)
    return [(node.module, alias.name, alias.asname) for node in body for alias in node.names]


@pytest.mark.parametrize("stub", sorted(PACKAGE.rglob("*.pyi")), ids=lambda path: path.parent.name)
def test_a_type_checker_sees_what_the_run_gives(stub):
    package = ".".join(stub.relative_to(PACKAGE.parent).parent.parts)
    runtime, names = import_module(package), listed(stub)
    assert sorted(name for _, name, _ in names) == list(runtime.__all__)
    for module, name, public in names:
        assert public == name, f"`{name} as {name}` is what makes an import in a stub public"
        home = import_module(f"{package}.{module}")
        value = getattr(runtime, name)
        assert value is getattr(home, name) and getattr(value, "__module__", home.__name__) == home.__name__


@pytest.mark.parametrize("module", ["train", "predict", "genomics", "data.cache"])
def test_commands_explain_themselves_without_a_warning(module):
    run = subprocess.run([sys.executable, "-W", "error", "-m", f"lggseg.{module}", "--help"], capture_output=True,
                         text=True, check=False)
    assert run.returncode == 0 and f"lggseg.{module}" in run.stdout, run.stderr
