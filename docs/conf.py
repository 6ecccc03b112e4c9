"""Settings of the documentation site: what Sphinx reads. Nothing here needs a network."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE)]
sys.path.append(str(HERE.parent))

from tools.caches import keep_inside  # noqa: E402

keep_inside()

import hiddenpop  # noqa: E402

project = "hiddenpop"
author = "the hiddenpop developers"
copyright = author  # without a year, so that the same source gives the same pages
version = release = hiddenpop.__version__
language = "en"

extensions = [
    "prepare",  # first: it makes pages that the others read
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_nb",
    "links",
    "facts",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_ext", "_templates", "README.md", "examples"]
suppress_warnings: list[str] = []
nitpicky = True

# Docstrings.
default_role = "py:obj"
autodoc_typehints = "none"  # types stand in the docstrings, in words
autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # the template lists them
numpydoc_xref_param_type = False
python_display_short_literal_types = True

# Pages and notebooks. Notebooks are stored with their outputs, which a test compares with what the code gives.
nb_execution_mode = "off"
nb_ipywidgets_js: dict[str, dict[str, str]] = {}
nb_merge_streams = True
myst_enable_extensions = ["deflist", "fieldlist"]
myst_heading_anchors = 3

# The site: no fonts, scripts or styles from elsewhere, and it works from a folder without a server.
html_theme = "pydata_sphinx_theme"
html_title = f"hiddenpop {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_show_search_summary = False  # summaries are fetched, which a browser refuses for files
html_context = {"default_mode": "auto"}
ALONE = (
    "index",
    "search",
    "start",
    "choice",
    "gallery",
    "glossary",
    "limits",
    "validation",
    "changelog",
    "cli",
    "security",
)
html_sidebars: dict[str, list[str]] = {page: [] for page in ALONE}  # they have no pages below them
html_theme_options = {
    "logo": {"text": "hiddenpop"},
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "header_links_before_dropdown": 8,
    "show_toc_level": 1,
    "collapse_navigation": True,
    "pygments_light_style": "default",
    "pygments_dark_style": "github-dark",
}
