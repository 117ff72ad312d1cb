"""Base58 and Base58Check."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.vectors import vectors_path

from mina_p2p import base58
from mina_p2p.base58 import Base58Error, Base58Reason


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        (b"\0", "1"),
        (b"\0\0\1", "112"),
        (b"\x39", "z"),
        (b"\x3a", "21"),
        (b"Hello World!", "2NEpo7TZRRrLZSi2U"),
        (bytes.fromhex("0000287fb4cd"), "11233QC4"),
    ],
)
def test_known_texts(data, text):
    """Digits, the carry into a second digit, and one 1 for each leading zero byte."""
    assert base58.encode(data) == text
    assert base58.decode(text) == data


@given(st.binary(max_size=200))
def test_every_byte_string_comes_back(data):
    """Decoding undoes encoding, also with leading zeros."""
    assert base58.decode(base58.encode(data)) == data


@given(st.binary(max_size=100), st.integers(0, 255))
def test_every_payload_comes_back_from_its_checked_text(payload, version):
    """Base58Check gives back the payload under its version only."""
    text = base58.encode_check(version, payload)
    assert base58.decode_check(text, version, len(payload)) == payload
    with pytest.raises(Base58Error) as caught:
        base58.decode_check(text, version ^ 1)
    assert caught.value.reason is Base58Reason.VERSION
    assert caught.value.version == version


def test_vectors_of_mina_texts():
    """The checked texts of Mina's hashes and signatures decode under their version and encode back."""
    entries = json.loads(vectors_path("text", "base58check.json").read_text())
    for entry in entries["types"] + entries["raw"]:
        payload = base58.decode_check(entry["text"], entry["version_byte"])
        assert base58.encode_check(entry["version_byte"], payload) == entry["text"]
        assert entry.get("payload_hex", payload.hex()) == payload.hex()
        assert payload.hex().endswith(entry.get("wire_hex", "")[2:])


@pytest.mark.parametrize("character", ["0", "O", "I", "l", " ", "\n", "\0", "-", "é", "\u0661", "\U0001f600"])
def test_a_character_outside_the_alphabet_is_refused(character):
    """Look-alikes, white space and non-ASCII are no digits, wherever they stand; the error says where."""
    for text in (character, f"2{character}", f"{character}2", f"11{character}11"):
        with pytest.raises(Base58Error) as caught:
            base58.decode(text)
        assert caught.value.reason is Base58Reason.CHARACTER
        assert f"character {text.index(character) + 1} " in str(caught.value)


def test_length_is_judged_before_content():
    """A long text is refused for its length, whatever is in it: nothing has looked at the characters."""
    with pytest.raises(Base58Error) as caught:
        base58.decode("0" * (base58.TEXT_LENGTH_MAX + 1))
    assert caught.value.reason is Base58Reason.TOO_LONG
    with pytest.raises(Base58Error) as caught:
        base58.decode("2" * 11, length_max=10)
    assert caught.value.reason is Base58Reason.TOO_LONG
    with pytest.raises(Base58Error) as caught:
        base58.decode("2" * (base58.TEXT_LENGTH_MAX + 1), length_max=10**9)
    assert caught.value.reason is Base58Reason.TOO_LONG
    with pytest.raises(Base58Error) as caught:
        base58.encode(bytes(base58.DATA_LENGTH_MAX + 1))
    assert caught.value.reason is Base58Reason.TOO_LONG


@pytest.mark.parametrize("filler", [b"\0", b"\xff"])
def test_the_longest_data_can_be_read_back(filler):
    """What `encode` accepts is never too long for `decode`."""
    data = filler * base58.DATA_LENGTH_MAX
    assert base58.decode(base58.encode(data)) == data


@pytest.mark.parametrize("text", ["1" * (base58.DATA_LENGTH_MAX + 1), "11" + "9" * (base58.TEXT_LENGTH_MAX - 2), "z" * 2806])
def test_what_was_read_can_be_written(text):
    """A text within bounds that stands for more bytes than `encode` accepts is too long as well (found by fuzzing)."""
    with pytest.raises(Base58Error) as caught:
        base58.decode(text)
    assert caught.value.reason is Base58Reason.TOO_LONG


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", Base58Reason.TOO_SHORT),
        ("1111", Base58Reason.TOO_SHORT),
        ("11111", Base58Reason.CHECKSUM),
        ("2aPazR3zQncHM8dwRiYxDWZRndBwnpQLZ9MUM2gq8R9ZwfwtxUw", Base58Reason.CHECKSUM),
        ("2PazR3zQncHM8dwRiYxDWZRndBwnpQLZ9MUM2gq8R9ZwfwtxUv", Base58Reason.CHECKSUM),
        (base58.encode_check(0x16, bytes(32)), Base58Reason.VERSION),
        (base58.encode_check(0x2F, bytes(31)), Base58Reason.LENGTH),
        (base58.encode_check(0x2F, bytes(33)), Base58Reason.LENGTH),
        (base58.encode_check(0x16, bytes(31)), Base58Reason.VERSION),
    ],
)
def test_the_first_applicable_reason_is_given(text, reason):
    """The checksum is judged before the version and the version before the length."""
    with pytest.raises(Base58Error) as caught:
        base58.decode_check(text, 0x2F, 32)
    assert caught.value.reason is reason


def test_errors_survive_a_process_boundary():
    """An error can be pickled with all that it says."""
    error = Base58Error(Base58Reason.VERSION, "detail", 7)
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.reason, copy.detail, copy.version, str(copy)) == (Base58Reason.VERSION, "detail", 7, "detail")
