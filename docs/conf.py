"""Sphinx: ``sphinx-build -nW -j 2 docs build/docs``, with the extra ``docs`` installed."""

from __future__ import annotations

import re
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

import mina_p2p
import mina_p2p_effects

project = "mina_p2p"
author = "the mina_p2p authors"
copyright = author  # noqa: A001 - Sphinx's name for it
html_title = "mina_p2p"
html_theme = "furo"

extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_heading_anchors = 3
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {
    "members": True,
    "undoc-members": True,
    "show-inheritance": True,
    "exclude-members": "replace",
    "ignore-module-all": True,
}
# A backquoted name in a docstring is code; whether there is a page for it is not known where it stands.
default_role = "code"
# The pages link to files of the repository, which are no pages of the manual (the tests follow those links); and a name in
# a signature may be that of two classes.
suppress_warnings = ["myst.xref_missing", "ref.python"]


API = Path(__file__).parent / "reference" / "api"
"""One page for every module; made at each build, and not kept."""


def setup(app: Sphinx) -> dict[str, bool]:
    """Make the pages of the modules, and teach autodoc how this project writes docstrings."""
    app.connect("builder-inited", _module_pages)
    app.connect("autodoc-process-docstring", _tables)
    app.connect("missing-reference", _leave_as_code)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _module_pages(_app: Sphinx) -> None:
    pages = {f"{name}.rst": f"{name}\n{'=' * len(name)}\n\n.. automodule:: {name}\n" for name in _modules()}
    API.mkdir(exist_ok=True)
    for old in {path.name for path in API.iterdir()} - pages.keys():
        (API / old).unlink()
    for name, text in pages.items():
        page = API / name
        if not page.exists() or page.read_text() != text:
            page.write_text(text)


def _modules() -> list[str]:
    """Every module of both packages, but those that run when they are imported."""
    packages = [mina_p2p, mina_p2p_effects]
    found = [module.name for package in packages for module in walk_packages(package.__path__, f"{package.__name__}.")]
    return sorted([*(package.__name__ for package in packages), *(name for name in found if not name.endswith("__main__"))])


def _tables(_app: Sphinx, _what: str, _name: str, _obj: Any, _options: Any, lines: list[str]) -> None:
    """Markdown's tables, which the slices' docstrings have, in reStructuredText."""
    made: list[str] = []
    for line in lines:
        if re.fullmatch(r"\|(-+\|)+", line):
            continue
        if not line.startswith("| "):
            made.append(line)
            continue
        if not made or (not made[-1].startswith("     -") and made[-1].strip() != ""):
            made.append("")
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not made[-1].startswith("     -"):
            made += [".. list-table::", "   :header-rows: 1", ""]
        made += [f"   * - {cells[0]}", *(f"     - {cell}" for cell in cells[1:])]
    lines[:] = made


def _leave_as_code(_app: Sphinx, _env: Any, node: Any, content: nodes.TextElement) -> nodes.TextElement | None:
    """Names in signatures that have no page, such as type variables and other packages' classes, are shown without a link."""
    return content if node.get("refdomain") == "py" else None
