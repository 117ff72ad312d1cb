"""Sphinx: ``sphinx-build -nW -j 2 docs build/docs``, with the extra ``docs`` installed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

from docutils import nodes
from sphinx import addnodes
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
"""One page for every package; made at each build, and not kept."""


def setup(app: Sphinx) -> dict[str, bool]:
    """Make the pages of the packages, and teach autodoc how this project writes docstrings."""
    app.connect("builder-inited", _package_pages)
    app.connect("autodoc-process-docstring", _tables)
    app.connect("doctree-read", _exact_names)
    app.connect("missing-reference", _leave_as_code)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _package_pages(_app: Sphinx) -> None:
    pages = {f"{package}.rst": "\n".join(_page(package, modules)) for package, modules in _packages().items()}
    API.mkdir(exist_ok=True)
    for old in {path.name for path in API.glob("*.rst")} - pages.keys():
        (API / old).unlink()
    for name, text in pages.items():
        page = API / name
        if not page.exists() or page.read_text() != text:
            page.write_text(text)


def _packages() -> dict[str, list[str]]:
    """Every package with its modules, but those that run when they are imported."""
    found = {package.__name__: list[str]() for package in (mina_p2p, mina_p2p_effects)}
    for package in (mina_p2p, mina_p2p_effects):
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            if module.ispkg:
                found[module.name] = []
            elif not module.name.endswith("__main__"):
                found[module.name.rpartition(".")[0]].append(module.name)
    return found


def _page(package: str, modules: list[str]) -> Iterator[str]:
    yield from (package, "=" * len(package), "", f".. automodule:: {package}", "")
    for module in modules:
        yield from (module, "-" * len(module), "", f".. automodule:: {module}", "")


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


def _exact_names(_app: Sphinx, doctree: nodes.document) -> None:
    """Signatures name classes in full, so that nothing has to be searched for by its last part, which takes minutes."""
    for reference in doctree.findall(addnodes.pending_xref):
        if reference.get("refdomain") == "py":
            reference["refspecific"] = False


def _leave_as_code(_app: Sphinx, _env: Any, node: Any, content: nodes.TextElement) -> nodes.TextElement | None:
    """Names in signatures that have no page, such as type variables and other packages' classes, are shown without a link."""
    return content if node.get("refdomain") == "py" else None
