"""What the reference gets wrong, by its number in spec: pull-protocol 10.3, where it takes a whole node to show that it does not happen."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mina_p2p.address import Domain, QuicAddress
from mina_p2p.config import Limits, Timeouts
from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.ids import SECOND
from mina_p2p.signaling.effects import SignalingAnswerReceived, SignalingOfferReceived, SignalingOfferWanted
from mina_p2p.trace.reader import BytesSource, Chunk, Reader
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.node import PeerError
from mina_p2p_effects.transports.memory import MemoryHub
from node.nodes import first, make, make_quic, payments, run, two_nodes


def test_s10_a_log_holds_no_secret(tmp_path: Path) -> None:
    """A node that encrypts, decrypts and is recorded while it does: no form of its key is in what is written."""
    path = tmp_path / "node.log"
    key = SecretKey.deterministic(2)

    async def main() -> None:
        hub = MemoryHub()
        quiet = Limits(peers_min=0)
        dialer = make(hub, 0, are_introductions_taken=True, timeouts=Timeouts(granularity=60 * SECOND))
        listener = make(hub, 2, are_introductions_taken=True, limits=quiet, record_to=path)
        async with make(hub, 1, limits=quiet) as relay, listener, dialer:
            await listener.connect(relay.addresses[0])
            await dialer.connect(relay.addresses[0])
            dialer.give_offer(await first(dialer, SignalingOfferWanted), "v=0")
            listener.give_answer(await first(listener, SignalingOfferReceived), "v=0")
            await first(dialer, SignalingAnswerReceived)

    run(main())
    chunks = [chunk for chunk in Reader(BytesSource(path.read_bytes())).chunks() if isinstance(chunk, Chunk)]
    written = b"".join(chunk.payload for chunk in chunks) + path.read_bytes()
    assert bytes(key.peer_id) in written, "the log is not what this test takes it for"
    assert key.reveal_seed() not in written
    assert key.reveal_text().encode() not in written


def test_p6_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    """Not by hashing a transaction, nor by anything else that a node does with one."""

    async def main() -> None:
        async with two_nodes() as (one, other):
            await one.connect(other.addresses[0])
            for payment in payments():
                one.add_transaction(payment)

    run(main())
    assert capfd.readouterr() == ("", "")


def test_n11_a_name_is_resolved_when_it_is_dialled() -> None:
    """Asynchronously, and a name without an address is a typed reason, not a silent warning."""

    here = {"are_private_addresses_allowed": True}

    async def main() -> None:
        async with make_quic(0, **here) as one, make_quic(1, **here) as other:
            (address,) = other.addresses
            assert isinstance(address, QuicAddress)
            named = address.replace(host=Domain("localhost"))
            nowhere = QuicAddress(SecretKey.deterministic(9).peer_id, Domain("nowhere.invalid"), 8302)
            connected, failed = await asyncio.gather(one.connect(named), one.connect(nowhere), return_exceptions=True)
            assert not isinstance(connected, BaseException)
            assert connected.peer_id == other.peer_id
            assert isinstance(failed, PeerError)
            assert failed.reason.code == ReasonCode.ADDRESS_UNRESOLVED

    run(main())
