"""The ``inspect`` command: what it finds, prints and refuses."""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.vectors import vector_index, vectors_path

from mina_p2p.mina.raw import RawBlock
from mina_p2p.testing.mina import MinaGenerator
from mina_p2p_effects import inspect


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    inspect.add_arguments(parser)
    return inspect.run(parser.parse_args(arguments))


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert run(*arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_block_is_recognised(capsys: pytest.CaptureFixture[str]) -> None:
    """A block file without a type: type, size, round trip and the hashes that the network publishes."""
    path = next(iter(sorted(vectors_path("blocks").glob("359617*.bin"))))
    expected = json.loads(path.with_name(path.name.replace(".bin", ".expected.json")).read_text())
    found = run_json(capsys, str(path))
    assert found["type"] == "MinaBlockBlockStableV2"
    assert found["size"] == path.stat().st_size
    assert found["round_trip"] is True
    assert found["hashes"] == {
        "state_hash": expected["state_hash"],
        "body_reference": expected["body_reference"],
        "transaction_hashes": [digest for _, digest in expected["tx_hashes"]],
    }
    assert found["value"]["header"]["protocol_state"]["body"]["constants"]["k"] == "290"


def test_every_typed_vector_is_readable_by_its_type(capsys: pytest.CaptureFixture[str]) -> None:
    """--type takes the names that test data use, lists of JSON items with wire_base64 included."""
    vectors_path("index.json")
    seen = 0
    for name, entry in vector_index().items():
        kind = entry.get("type", "").removesuffix(" (wire_base64)")
        if not name.endswith((".bin", ".json")) or not kind or "JSON" in kind or entry["kind"] == "must fail" or entry["size"] > 40_000:
            continue
        found = run_json(capsys, str(vectors_path(*name.split("/"))), "--type", kind)
        assert found["round_trip"], name
        assert found["type"] in {kind, "rpc_message"}
        if entry.get("expected", {}).get("tx_hash"):
            assert found["hashes"]["transaction_hashes"] == [entry["expected"]["tx_hash"]]
        if entry.get("expected", {}).get("state_hash"):
            assert found["hashes"]["state_hash"] == entry["expected"]["state_hash"]
        seen += 1
    assert seen > 40


def test_types_are_found_by_trying(capsys: pytest.CaptureFixture[str]) -> None:
    """Files of the kinds that people have are recognised without --type."""
    for name, kind in [
        ("gossip/snark_pool_diff-one.bin", "GossipNetMessageV2"),
        ("p2p/snark-two.bin", "Snark"),
        ("p2p/channel-best-tip.bin", "BestTipPropagationChannelMsg"),
        ("p2p/channel-transaction-info.bin", "TransactionPropagationChannelMsg"),
        ("rpc/menu-response-40160.bin", "rpc_message"),
        ("misc/trivial_vk.bin", "MinaBaseVerificationKeyWireStableV1"),
    ]:
        assert run_json(capsys, str(vectors_path(*name.split("/"))))["type"] == kind


def test_rpc_data_is_shown_by_method(capsys: pytest.CaptureFixture[str]) -> None:
    """A method's name opens the data of a query or an answer."""
    found = run_json(capsys, str(vectors_path("rpc", "menu-response-40160.bin")), "--type", "__Versioned_rpc.Menu response")
    assert ["get_best_tip", 1] in found["value"]
    found = run_json(capsys, str(vectors_path("rpc", "answer-sync-ledger-query-00.bin")), "--type", "answer_sync_ledger_query query")
    assert found["round_trip"] is True


REFUSED = [
    ("v2-gossip-new_state.bin", "GossipNetMessageV2"),
    ("v2-gossip-transaction_pool_diff.bin", "GossipNetMessageV2"),
    ("rpc-get-epoch-ledger-query-1.bin", "rpc_message($query) get_epoch_ledger"),
    ("rpc-get-epoch-ledger-query-1.bin", "rpc_message"),
]


@pytest.mark.parametrize(("name", "kind"), REFUSED)
def test_undecodable_file_gives_two_and_the_place(name: str, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2; the field and the offset are on standard error, and nothing on standard output."""
    assert run(str(vectors_path("must_fail", name)), "--type", kind) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert " at byte " in printed.err


def test_other_mistakes_give_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing file, an unknown type, an unknown method, and bytes of no type."""
    file = tmp_path / "file"
    file.write_bytes(b"\xff" * 50)
    for arguments in (
        [str(tmp_path / "missing")],
        [str(file), "--type", "NoSuchType"],
        [str(file), "--type", "list of NoSuchType"],
        [str(file), "--type", "no_such_method query"],
        [str(file), "--type", "get_best_tip query"],
        [str(file), "--type", "list of MinaBaseUserCommandStableV2"],
        [str(file)],
    ):
        assert run(*arguments) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("mina-p2p inspect: ")
        assert "[Errno" not in printed.err


def test_tree_shows_parts_and_sizes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The default output names type, hashes, parts and their sizes, as deep as asked."""
    generator = MinaGenerator(11)
    commands = tuple(generator.user_command() for _ in range(15))
    raw = RawBlock.of(generator.block(generator.genesis(), commands=commands, works=(generator.snark_work(),)))
    file = tmp_path / "block"
    file.write_bytes(raw)
    assert run(str(file)) == 0
    shallow = capsys.readouterr().out
    assert shallow.startswith(f"MinaBlockBlockStableV2: {len(raw)} bytes, encodes to the same bytes\n  state_hash: 3N")
    assert "header (" in shallow
    assert run(str(file), "--depth", "9") == 0
    deep = capsys.readouterr().out
    assert "and 3 more" in deep
    assert "RawUserCommand" in deep or "data (" in deep
    assert len(deep) > len(shallow)


def test_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A file name of - reads standard input."""
    raw = RawBlock.of(MinaGenerator(12).genesis())
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(raw)))
    assert run_json(capsys, "-")["size"] == len(raw)
