"""How Sphinx builds the site from build/site-source; see dev/tools/build_site.py.

Nothing is loaded from elsewhere.
"""

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from docutils.nodes import SkipNode  # noqa: E402

from dev.tools.static_viewers import mathml  # noqa: E402

meta = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
repository = tomllib.loads((ROOT / "dev" / "tools" / "series.toml").read_text(encoding="utf-8"))[
    "repository"
]

project = "From raw brain MRI to genomics"
release = meta["version"]
html_title = project
language = "en"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc"]
templates_path = [str(ROOT / "docs" / "_templates")]

myst_enable_extensions = ["attrs_inline", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # `make notebooks` runs them; the site shows what is stored
nb_ipywidgets_js = {}
nb_merge_streams = True

autodoc_member_order = "bysource"
autosummary_generate = True
numpydoc_show_class_members = False
default_role = "code"  # a docstring's `name`
autodoc_inherit_docstrings = False  # PyTorch's words on `forward` are no help here
smartquotes_action = "qe"  # quotes and ellipses; options such as --order stay as they are typed
html_math_renderer = "mathml"

html_theme = "sphinx_book_theme"
html_static_path = [str(ROOT / "docs" / "_static")]
html_css_files = ["style.css"]
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system is
html_domain_indices = False  # the list of modules is the reference
html_show_copyright = False
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "use_download_button": False,
    "use_fullscreen_button": False,
    "show_navbar_depth": 1,
    "show_toc_level": 2,
    "home_page_in_toc": False,
    "navbar_persistent": [],
    "footer_content_items": ["extra-footer"],
    "extra_footer": "Material for learning. This is not a medical device.",
    **(
        {"repository_url": f"https://github.com/{repository}", "use_repository_button": True}
        if repository
        else {}
    ),
}


def draw_inline(visitor, node):
    visitor.body.append(mathml(node.astext(), "inline"))
    raise SkipNode


def draw_block(visitor, node):
    visitor.body.append(f'<div class="math">{mathml(node.astext(), "block")}</div>')
    raise SkipNode


def skip(app, what, name, obj, skipped, options):
    """The fields of a named tuple say nothing of themselves."""
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field number") else None


def setup(app):
    app.connect("autodoc-skip-member", skip)
    app.add_html_math_renderer("mathml", (draw_inline, None), (draw_block, None))
