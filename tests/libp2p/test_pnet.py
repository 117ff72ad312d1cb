"""The private network's cipher: vectors, captures, pieces."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libp2p.pairs import vector, vectors_of
from mina_p2p.errors import CallerError
from mina_p2p.identity import ChainId
from mina_p2p_effects.transports.libp2p.pnet import NONCE_BYTES, Pnet, hsalsa20, xsalsa20

pytest.importorskip("Crypto.Cipher.Salsa20", reason="pycryptodome comes with the extra `libp2p`")

KEY = bytes(range(32))


@pytest.mark.parametrize("found", [v for v in vectors_of("pnet") if "chain_id" in v], ids=lambda v: v["name"])
def test_the_network_key_follows_from_the_chain(found: dict[str, bytes]):
    assert ChainId(found["chain_id"]).libp2p_network_key == found["psk"]


def test_the_key_stream_of_the_vectors():
    found = vector("xsalsa20_keystream_devnet_psk")
    assert hsalsa20(found["key"], found["nonce"][:16]) == found["subkey"]
    size = len(found["keystream"])
    assert xsalsa20(found["key"], found["nonce"]).encrypt(bytes(size)) == found["keystream"]


def test_the_first_bytes_of_a_dialer_like_go():
    found = vector("pnet_first_bytes_go_like_dialer")
    pnet = Pnet(found["psk"], found["nonce"])
    start, middle = found["wire_split_at"]
    plain = found["plaintext"]
    assert pnet.send(plain[: middle - start]) + pnet.send(plain[middle - start :]) == found["wire"]


@pytest.mark.parametrize("side", ["dialer", "listener"])
@pytest.mark.parametrize("piece", [1, 7, 24, 25, 1000])
def test_captures_of_js_libp2p_are_read_in_any_pieces(side: str, piece: int):
    found = vector(f"pnet_capture_js_libp2p_{side}")
    pnet = Pnet(found["psk"], bytes(NONCE_BYTES))
    wire = found["wire"]
    plain = b"".join(pnet.receive(wire[at : at + piece]) for at in range(0, len(wire), piece))
    assert plain.startswith(found["plaintext"][: len(plain)])
    assert len(plain) == len(wire) - NONCE_BYTES


@given(st.lists(st.binary(max_size=200), max_size=6), st.integers(1, 300))
def test_what_is_sent_is_received_however_it_is_cut(messages: list[bytes], piece: int):
    sender, receiver = Pnet(KEY, bytes(NONCE_BYTES)), Pnet(KEY, bytes(NONCE_BYTES))
    wire = b"".join(map(sender.send, messages))
    assert b"".join(receiver.receive(wire[at : at + piece]) for at in range(0, len(wire), piece)) == b"".join(messages)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "Crypto.Cipher.Salsa20", None)
    with pytest.raises(CallerError, match=r"mina-p2p\[libp2p\]"):
        Pnet(KEY, bytes(NONCE_BYTES))
