"""`mina-p2p log plot`: pictures in files."""

from __future__ import annotations

import io
import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="pictures need the extra plot")

from debugger.recorded import record_network
from debugger.screenshots import keep, wanted

from mina_p2p_effects.cli import main

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_network(tmp_path_factory.mktemp("network"))


def texts(path: Path) -> str:
    return "\n".join("".join(element.itertext()) for element in ET.parse(path).iter(f"{SVG}text"))


def test_the_whole_picture(network: Path, tmp_path: Path) -> None:
    """Four panels as SVG with text; the same logs make the same file."""
    assert main(["log", "plot", str(network), "-o", str(tmp_path / "a.svg")]) == 0
    assert main(["log", "plot", str(network), "-o", str(tmp_path / "b.svg")]) == 0
    found = texts(tmp_path / "a.svg")
    for words in ("ready connections", "permissions in use", "KiB per second", "nodes (hollow", "transaction", "node-0001"):
        assert words in found
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    if wanted("log-plot.png"):
        small = ["--nodes", "4", "--seed", "6", "--faults", "latency", "--duration", "5"]  # as in docs/how-to/plot-a-log.md
        assert main(["simulate", *small, "--record", str(tmp_path / "logs")]) == 0
        assert main(["log", "plot", str(tmp_path / "logs"), "-o", str(tmp_path / "a.png")]) == 0
        keep("log-plot.png", (tmp_path / "a.png").read_bytes())


def test_png_of_one_node(network: Path, tmp_path: Path) -> None:
    """One log and one panel, as PNG."""
    log = min(network.glob("*.log"))
    assert main(["log", "plot", str(log), "--what", "bytes", "-o", str(tmp_path / "bytes.png")]) == 0
    image = pytest.importorskip("PIL.Image", reason="reading the picture needs pillow").open(
        io.BytesIO((tmp_path / "bytes.png").read_bytes())
    )
    assert image.width > 2 * image.height
    assert len(image.convert("RGB").getcolors(1 << 20)) > 5


def test_an_item_by_its_key(network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Items are listed, and any of them can be followed."""
    assert main(["log", "plot", str(network), "--items", "--json"]) == 0
    items = json.loads(capsys.readouterr().out)
    chosen = next(item for item in items if item["nodes"] > 1)
    picture = tmp_path / "item.svg"
    assert main(["log", "plot", str(network), "--what", "spread", "--item", chosen["key"][:24].upper(), "-o", str(picture), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["item"] == {"channel": chosen["channel"], "key": chosen["key"]}
    assert sum(1 for node in told["nodes"] if node["item_held"] is not None) == chosen["nodes"]
    assert chosen["key"][:12] in texts(picture)
    assert main(["log", "plot", str(network), "--items"]) == 0
    assert chosen["key"] in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["-o", "x.gif"],
        ["--what", "peers,moon", "-o", "x.svg"],
        [],
        ["--item", "zz", "-o", "x.svg"],
        ["--item", "", "-o", "/nowhere/at/all/x.svg"],
    ],
)
def test_wrong_usage(network: Path, words: list[str]) -> None:
    """A wrong word, or a place that can not be written, is exit code 2."""
    try:
        code: object = main(["log", "plot", str(network), *words])
    except SystemExit as refused:
        code = refused.code
    assert code == 2


def test_without_the_extra(network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without matplotlib the command names the extra; the numbers are to be had all the same."""
    monkeypatch.delitem(sys.modules, "mina_p2p_effects.plots.figure", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["log", "plot", str(network), "-o", str(tmp_path / "x.svg")]) == 2
    assert "pip install 'mina-p2p[plot]'" in capsys.readouterr().err
    assert main(["log", "plot", str(network), "--json"]) == 0
