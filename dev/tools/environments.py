"""Run the tests and the notebooks in other environments: `python -m dev.tools.environments NAME`.

- widgets7: tests/viewer under ipywidgets 7.7.1, the version that Colab has
- colab: every notebook, in an environment that looks like Google Colab: its shell's name,
  ipywidgets 7.7.1, lggseg not installed, only the notebook file at hand, and the project as a git
  repository in a local folder. Nothing is fetched from the network, and neither torch, numpy nor
  ipywidgets may change.
- oldest: the unit tests with the oldest version of every package that requirements.txt allows and
  that has a wheel for this Python; UV_TORCH_BACKEND=cpu takes PyTorch's CPU wheels

The first two are thin environments in build/, on top of the one this runs in; only making them
needs the network. The third is a whole one, and needs what a first set-up needs.
"""

import argparse
import os
import queue
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat

from .setup_cell import put_setup, setup_line

ROOT = Path(__file__).resolve().parents[2]
WIDGETS7 = (
    "ipywidgets==7.7.1",
    "widgetsnbextension~=3.6.0",
    "jupyterlab-widgets~=1.1",
    "ipython-genutils==0.2.0",
    "ipykernel~=6.29",
)
POOLED = ("-n", "logical", "--maxprocesses", "4", "--dist", "loadfile")
COLABS = ("venv-colab", "venv-colab-2")
WATCHED = ("torch", "torchvision", "numpy", "ipywidgets")
# By which the set-up line knows it.
COLAB = 'type(get_ipython()).__module__ = "google.colab._shell"\n'
COMM = "ignore:The `ipykernel.comm.Comm` class:DeprecationWarning"  # ipywidgets 7 uses it


def make(name: str) -> Path:
    """Python of build/<name>: sees this environment's packages, lggseg aside, with ipywidgets 7.7.1
    before them.
    """
    folder = ROOT / "build" / name
    python = folder / "bin" / "python"
    ready = folder / "ready"
    if not ready.exists() or ready.read_text() != str(WIDGETS7):
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        packages = next(folder.glob("lib/python*/site-packages"))
        # A plain path line: the .pth files of that folder, the one of `pip install -e .` among
        # them, stay unread.
        (packages / "below.pth").write_text(sysconfig.get_path("purelib") + "\n")
        pip = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--target", packages]
        subprocess.run([*pip, *WIDGETS7], check=True)
        ready.write_text(str(WIDGETS7))
    return python


def check_widgets7() -> int:
    """Exit status of the viewer's tests under ipywidgets 7.7.1."""
    python = make("venv-widgets7")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run(
        [python, "-c", "import ipywidgets; print('ipywidgets', ipywidgets.__version__)"], check=True
    )
    tests = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", COMM, *POOLED]
    return subprocess.run([*tests, "tests/viewer"], cwd=ROOT, env=environment).returncode


def make_oldest() -> Path:
    """Python of build/venv-oldest; the versions in it are those of build/oldest.txt."""
    folder = ROOT / "build" / "venv-oldest"
    pins = ROOT / "build" / "oldest.txt"
    python = folder / "bin" / "python"
    ready = folder / "ready"
    wanted = "".join(
        (ROOT / name).read_text(encoding="utf-8") for name in ("requirements.txt", "pyproject.toml")
    )
    if not ready.exists() or ready.read_text(encoding="utf-8") != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "uv"], check=True)
        subprocess.run(
            [*oldest_versions(python), "requirements.txt", "--output-file", pins],
            cwd=ROOT,
            check=True,
        )
        install = [python, "-m", "uv", "pip", "install", "--python", python, "--constraint", pins]
        # Seconds for one of CUDA's packages; uv's 30 are few.
        environment = {"UV_HTTP_TIMEOUT": "300"} | os.environ
        subprocess.run([*install, "--editable", ".[test]"], cwd=ROOT, check=True, env=environment)
        ready.write_text(wanted, encoding="utf-8")
    return python


def oldest_versions(python: Path) -> list:
    """The command that finds them: of what a file asks for the oldest, of what comes with that the
    newest.
    """
    return [
        python,
        "-m",
        "uv",
        "pip",
        "compile",
        "--python",
        python,
        "--resolution",
        "lowest-direct",
        "--only-binary",
        ":all:",
        "--no-annotate",
        "--no-header",
    ]


def check_oldest() -> int:
    """Exit status of the unit tests there; what old versions warn of is not counted against us."""
    tests = ["-m", "pytest", "-o", "filterwarnings=default", "tests", "--ignore", "tests/browser"]
    return subprocess.run([make_oldest(), *tests], cwd=ROOT).returncode


def make_colab(name: str) -> Path:
    """As `make`, and an lggseg of an earlier run is gone."""
    python = make(name)
    packages = next((ROOT / "build" / name).glob("lib/python*/site-packages"))
    for old in packages.glob("lggseg*"):
        shutil.rmtree(old)
    return python


def repository(folder: Path) -> str:
    """Address of a git repository in `folder` that holds the project's files as they are now,
    tagged.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.org", "-C", folder]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "copy"], ["tag", "v0"]):
        subprocess.run([*git, *command], check=True)
    return f"git+file://{folder}@v0"


def versions(python: Path) -> str:
    code = f"import importlib.metadata as m; print({{n: m.version(n) for n in {WATCHED}}})"
    return subprocess.run(
        [python, "-c", code], check=True, capture_output=True, text=True, cwd="/"
    ).stdout


def run_alone(python: Path, notebook: Path, source: str) -> bool:
    """Execute a copy of `notebook` that installs from `source`, in an empty folder as home; whether
    it ran.
    """
    with tempfile.TemporaryDirectory() as folder:
        published = nbformat.read(notebook, as_version=4)
        put_setup(published, setup_line(source))
        nbformat.write(published, Path(folder) / notebook.name)
        startup = Path(folder) / ".ipython" / "profile_default" / "startup"
        startup.mkdir(parents=True)
        (startup / "colab.py").write_text(COLAB)
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("LGGSEG_", "JUPYTER"))
        }
        environment |= {
            "HOME": folder,
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",
            "LGGSEG_CACHE": str(ROOT / "build" / "cache"),
            "PYTHONWARNINGS": "ignore",
            "OMP_NUM_THREADS": "1",
        }
        environment.pop("PYTHONPATH", None)
        command = [
            python,
            "-m",
            "nbconvert",
            "--to",
            "notebook",
            "--execute",
            "--output",
            "done",
            notebook.name,
        ]
        result = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True
        )
    if result.returncode:
        print(re.sub(r"\x1b\[[\d;]*m", "", result.stderr)[-3000:])
    return result.returncode == 0


def chosen(only: str) -> list[Path]:
    """The notebooks in order, or those whose name contains `only`."""
    return [path for path in sorted((ROOT / "notebooks").glob("*.ipynb")) if only in path.name]


def check_colab(only: str = "") -> int:
    """0 if each notebook (or those whose name contains `only`) runs, with lggseg freshly installed
    by its cell. Two run at a time, each in an environment of its own.
    """
    free: queue.Queue[str] = queue.Queue()
    before = {}
    for name in COLABS:
        before[name] = versions(make_colab(name))
        free.put(name)
    with tempfile.TemporaryDirectory() as folder:
        source = repository(Path(folder))

        def run(notebook: Path) -> bool:
            name = free.get()
            start = time.monotonic()
            try:
                ran = run_alone(make_colab(name), notebook, source)
            finally:
                free.put(name)
            seconds = time.monotonic() - start
            print(f"{notebook.name}: {'ran' if ran else 'FAILED'} in {seconds:.0f} s", flush=True)
            return ran

        notebooks = chosen(only)
        with ThreadPoolExecutor(len(COLABS)) as pool:
            ran = list(pool.map(run, notebooks))
    failed = [path.name for path, good in zip(notebooks, ran, strict=True) if not good]
    for name in COLABS:
        after = versions(make_colab(name))
        print(f"{name}: {after.strip()}")
        if after != before[name]:
            failed.append(f"versions changed in {name}; they were {before[name].strip()}")
    print(f"{len(failed)} failures" + "".join(f"\n  {name}" for name in failed))
    return int(bool(failed))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("environment", choices=("widgets7", "colab", "oldest"))
    parser.add_argument("--only", default="", help="colab: notebooks whose name contains this")
    given = parser.parse_args()
    if given.environment == "colab":
        return check_colab(given.only)
    return check_widgets7() if given.environment == "widgets7" else check_oldest()


if __name__ == "__main__":
    sys.exit(main())
