"""Ten thousand identities that nobody has met, brought by peers that want to be all that a node knows (spec: address-gossip 4.3, 5.5)."""

from __future__ import annotations

from itertools import count, islice
from typing import Any

from slices.lab import Lab

from gossip.played import Peers, record_of
from mina_p2p.address import Ipv4
from mina_p2p.channels.address_gossip.messages import (
    ADDRESS_MESSAGE,
    AddressAdverts,
    AddressGetRecords,
    AddressKey,
    AddressRecord,
    AddressRecords,
    QuicPlace,
)
from mina_p2p.channels.address_gossip.state import MINUTE, Granted
from mina_p2p.config import Limits
from mina_p2p.identity import PeerId
from mina_p2p.ids import SECOND, ConnectionId, StreamId, Timestamp
from mina_p2p.testing.invariants import check_invariants
from mina_p2p.transport import ChannelsEffectfulRequestSend, ConnectionEffectfulDial

LIARS, IDENTITIES = 20, 10_000
CHECK_EVERY = 50


class Flooded(Peers):
    """A node that wishes for more connections than it gets: whatever it dials fails within a second."""

    def __init__(self, **gossip: Any) -> None:
        self.dialled: list[tuple[Timestamp, PeerId]] = []
        self.under_way: list[ConnectionId] = []
        self.fed = 0
        super().__init__(Limits(peers_min=60), **gossip)

    def feed(self, action: Any) -> Lab:
        """Dispatch; the invariants of a node with so many records are not looked at each time."""
        self.state, self.effects, self.steps = self.machine.dispatch(self.state, action, self.now)
        for effect in self.of(ConnectionEffectfulDial):
            self.dialled.append((self.now, effect.address.peer_id))
            self.under_way.append(effect.connection_id)
        self.fed += 1
        if self.fed % CHECK_EVERY == 0:
            check_invariants(self.state)
        return self

    def fail(self) -> None:
        """Let a second pass, and all that it dialled before fail."""
        self.wait(SECOND)
        failing, self.under_way = self.under_way, []
        for connection_id in failing:
            self.close(connection_id)

    def asked(self, peer: ConnectionId) -> list[tuple[StreamId, tuple[AddressKey, ...]]]:
        """What the last input made it ask a peer for."""
        sent = [effect for effect in self.of(ChannelsEffectfulRequestSend) if effect.connection_id == peer]
        messages = [(effect.stream, ADDRESS_MESSAGE.decode(effect.frame)) for effect in sent]
        return [(stream, message.keys) for stream, message in messages if isinstance(message, AddressGetRecords)]

    def tell(self, peer: ConnectionId, *nodes: int) -> None:
        """A peer names invented records of today, and sends what it is asked for."""
        grant = self.link(peer).grant
        assert isinstance(grant, Granted)
        held = {record.key: record for record in (invented(n, self.now) for n in nodes)}
        self.say(peer, AddressAdverts(tuple(held)), grant.stream)
        questions = self.asked(peer)
        while questions:
            stream, keys = questions.pop()
            self.say(peer, AddressRecords(tuple(held[key] for key in keys)), stream)
            questions += self.asked(peer)
            self.check()


def invented(n: int, now: Timestamp) -> AddressRecord:
    """A record that is good in all, and nobody's; each in a network of its own."""
    return record_of(1_000 + n, issued_at=now // SECOND, places=(QuicPlace(Ipv4.of(40 + (n >> 16), n >> 8 & 255, n & 255, 1), 8302),))


def test_ten_thousand_identities() -> None:
    """All bounds hold, no minute has many more first dials than thirty, and an honest peer is heard as before."""
    lab = Flooded(are_failures_retried=False)
    config, limits = lab.state.config.address_gossip, lab.state.config.limits
    liars = [lab.join(n) for n in range(1, LIARS + 1)]
    fresh = count()
    while (named := next(fresh)) < IDENTITIES:
        for liar in liars:
            if isinstance(lab.link(liar).grant, Granted):
                lab.tell(liar, *islice(fresh, config.advert_limit))
        lab.fail()
    slice_ = lab.state.address_gossip
    assert len(slice_.book) <= config.unproven_max
    assert max(slice_.book.unproven.values()) <= config.unproven_per_relayer_max
    assert len(slice_.gossip.table) <= config.gossip.entries_max
    assert len(lab.state.peers.table) <= limits.known_peers_max
    assert all(lab.link(liar).credit < 0 for liar in liars), "what can not be taken is worth less"
    times = [at for at, _peer_id in lab.dialled]
    most = max(sum(start <= at < start + MINUTE for at in times) for start in times)
    # What came at the end of one minute may be dialled at the start of the next, when others have failed.
    assert config.dials_per_minute <= most <= config.dials_per_minute + limits.dials_pending_max
    assert len({peer_id for _at, peer_id in lab.dialled}) == len(lab.dialled), "each record is worth one attempt"

    honest = lab.join(200)
    lab.tell(honest, named + 1_000)
    assert lab.knows(1_000 + named + 1_000) is not None
