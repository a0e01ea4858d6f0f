"""The builder of the page in which the network runs: what it needs, and what it puts there."""

import io
import json
import re
import subprocess

import numpy as np
import pytest
from PIL import Image

from dev.tools import build_site, try_page
from lggseg.phantom.table import plan_cohort


def test_a_missing_tool_is_named(monkeypatch):
    monkeypatch.setattr(try_page.shutil, "which", lambda tool: None if tool == "npm" else tool)
    assert try_page.missing_tool() == "npm is not installed (Node 18 or newer brings both)"
    with pytest.raises(try_page.PageError, match="npm is not installed"):
        try_page.build("nowhere")


def test_an_old_node_is_named(monkeypatch):
    answer = subprocess.CompletedProcess([], 0, stdout="v16.20.0\n")
    monkeypatch.setattr(try_page.shutil, "which", lambda tool: tool)
    monkeypatch.setattr(try_page.subprocess, "run", lambda *args, **kwargs: answer)
    assert try_page.missing_tool() == "node is v16.20.0, and the page needs 18 or newer"


def test_without_a_tool_the_site_says_so_and_goes_on(monkeypatch, tmp_path, capsys):
    def build(out):
        raise try_page.PageError("npm is not installed")

    monkeypatch.setattr(build_site, "build_try_page", build)
    monkeypatch.setattr(build_site, "BUILD", tmp_path)
    monkeypatch.setattr(build_site, "SOURCE", tmp_path / "source")
    text = build_site.try_page()
    assert "the network does not run here" in text and build_site.TRY_MARK not in text
    printed = capsys.readouterr().out
    assert printed == "site: without the page in which the network runs: npm is not installed\n"


def test_the_lock_file_names_no_registry():
    """So npm ci asks the one that the reader's machine is set to."""
    lock = json.loads((try_page.WEB / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert len(packages) > 10
    assert all("resolved" not in entry and "integrity" in entry for entry in packages.values())


def test_nothing_in_the_page_is_fetched_from_elsewhere():
    for file in [*try_page.WEB.glob("*.html"), *(try_page.WEB / "src").rglob("*")]:
        if file.is_file():
            assert not re.search(r"https?://", file.read_text(encoding="utf-8")), file


def test_phantoms_of_the_page_are_cut_to_head_and_tumour():
    plan, _ = plan_cohort(2, seed=3)
    image, mask = try_page.around_tumour(plan[0])
    assert image.shape[:3] == mask.shape and len(image) <= try_page.MOST_SLICES
    assert mask.any() and image.shape[1] < 256
    tall = np.asarray(Image.open(io.BytesIO(try_page.tall_png(image))))
    assert (tall.reshape(image.shape) == image).all()
