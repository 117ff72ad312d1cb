"""The targets of whole libp2p connections: what they let pass, and that they find what is planted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mina_p2p.testing.dice import Dice
from mina_p2p_effects.fuzzing import connections_of_libp2p as targets
from mina_p2p_effects.transports.libp2p import multistream as ms
from mina_p2p_effects.transports.libp2p.connection import Connection, Phase
from mina_p2p_effects.transports.libp2p.noise import NoiseTransport

pytest.importorskip("Crypto", reason="pycryptodome is not installed; it comes with the extra `libp2p`")

SETTLE, DELIVER, SPEAK, FLIP, ALL, DROP = range(6)
TOO_MUCH = 10_000


def test_an_undisturbed_connection_stays_open_and_carries_what_is_said() -> None:
    assert targets.on_the_wire(bytes((ALL, 0, SPEAK, 20, SPEAK, 33, ALL, 0))) == (Phase.OPEN, Phase.OPEN)


@pytest.mark.parametrize("disturbance", [FLIP, DROP])
def test_a_change_behind_the_handshake_ends_the_connection(disturbance: int) -> None:
    """Noise finds it; the side that hears no more of the other waits until its ping is late."""
    phases = targets.on_the_wire(bytes((ALL, 0, SPEAK, 90, DELIVER, 0, disturbance, 3, ALL, 0)))
    assert Phase.CLOSED in phases


def test_bytes_that_lose_their_place_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node whose Noise let everything through would hear what was never said."""

    def careless(self: NoiseTransport, data: bytes) -> list[bytes]:
        return [bytes(plaintext)[:-1] + b"!" if len(plaintext) > 25 else plaintext for plaintext in decrypt(self, data)]

    decrypt = NoiseTransport.decrypt
    monkeypatch.setattr(NoiseTransport, "decrypt", careless)
    script = bytes((ALL, 0, SPEAK, 20, ALL, 0))
    with pytest.raises(AssertionError, match="never said"):
        targets.on_the_wire(script)


def test_a_bound_that_does_not_hold_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unfinished messages of a peer, over many streams: more than one connection may hold."""
    hello = ms.encode_token(ms.HEADER) + ms.encode_token(targets.NOTES.name)
    half = hello + bytes((0xAC, 2)) + bytes(290)
    frames = [targets._frame(0, 1, 2 * number + 1, len(half)) + half for number in range(20)]
    speech = bytes((127,)) + b"".join(frames)
    assert targets.insider(speech) is Phase.CLOSED

    def generous(number: int, dice: Dice) -> Any:
        made = profile(number, dice)
        return made.replace(config=made.config.replace(held_bytes_max=TOO_MUCH))

    profile = targets._profile
    monkeypatch.setattr(targets, "_profile", generous)
    with pytest.raises(AssertionError, match="bytes are held"):
        targets.insider(speech)


def test_a_stream_that_ends_twice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(self: Connection, stream: int) -> None:
        ended(self, stream)
        self.events.extend(list(self.events)[-1:])

    ended = Connection.stream_ended
    monkeypatch.setattr(Connection, "stream_ended", forgetful)
    with pytest.raises(AssertionError, match="twice"):
        targets.insider(next(iter(targets._speeches(Dice(1)))))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60))
def test_no_script_breaks_a_promise(script: bytes) -> None:
    targets.on_the_wire(script)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 255), st.binary(max_size=200))
def test_no_speech_breaks_a_promise(way: int, speech: bytes) -> None:
    assert targets.insider(bytes((way,)) + speech) is Phase.CLOSED
