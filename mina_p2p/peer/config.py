"""The peer table: its numbers, which sources it believes, and what it remembers of the last run."""

from __future__ import annotations

import attrs

from mina_p2p.address import DialAddress
from mina_p2p.ids import SECOND, Timestamp
from mina_p2p.peer.state import GIVEN, PeerSource
from mina_p2p.record import Record, record

SALT_LENGTH = 16
REMEMBERED_MAX = 4_096

_positive = attrs.validators.gt(0)


@record
class RememberedPeer(Record):
    """What was known of a peer when this node stopped; see `mina_p2p.peer.memory`."""

    address: DialAddress
    source: PeerSource
    told_in: str = ""
    """The network of who told us; empty where nobody did."""
    is_tried: bool = False
    """Whether this node has reached it by a dial of its own."""
    is_anchor: bool = False
    """Whether it was an outgoing connection, which is dialled before all others."""
    last_success: Timestamp | None = None


@record
class PeerTableConfig(Record):
    """How the table of peers is bounded against an owner of many addresses. Durations are nanoseconds.

    The numbers follow Bitcoin Core's, scaled to a network of thousands of nodes and not of hundreds of thousands.
    """

    sources: tuple[PeerSource, ...] = tuple(PeerSource)
    """Which ways of learning of peers are believed; what a person names is in any case."""
    new_max: int = attrs.field(default=1_024, validator=_positive)
    """Peers that were heard of and not reached; more take the place of those of the most crowded bucket."""
    new_buckets: int = attrs.field(default=512, validator=_positive)
    """Buckets of the table of what was heard of. A draw chooses a bucket first."""
    new_buckets_per_source: int = attrs.field(default=8, validator=_positive)
    """Buckets that all which is told in one network can be in."""
    tried_max: int = attrs.field(default=1_024, validator=_positive)
    """Peers that this node has reached."""
    tried_buckets: int = attrs.field(default=1_024, validator=_positive)
    """Buckets of the table of what was reached."""
    tried_buckets_per_group: int = attrs.field(default=1, validator=_positive)
    """Buckets that all addresses of one network can be in."""
    group_ipv4_bits: int = attrs.field(default=16, validator=attrs.validators.and_(attrs.validators.ge(0), attrs.validators.le(32)))
    """Leading bits of an IPv4 address that make a network here. Fewer than for `Limits.group_ipv4_bits`: that bounds how much a
    hoster's customer may have, this what an attacker with a large block of addresses may."""
    group_ipv6_bits: int = attrs.field(default=32, validator=attrs.validators.and_(attrs.validators.ge(0), attrs.validators.le(128)))
    """Leading bits of an IPv6 address that make a network here."""
    anchors_max: int = attrs.field(default=2, validator=attrs.validators.ge(0))
    """Outgoing connections, the youngest first, that are dialled first after a restart. Not all of them: who restarts shall also get
    others."""
    feeler_interval: int = attrs.field(default=120 * SECOND, validator=_positive)
    """Between two dials that only see whether somebody can be reached, while there are enough connections."""
    are_feelers_sent: bool = True
    """Whether such dials are made at all."""
    rotation_interval: int = attrs.field(default=1_800 * SECOND, validator=_positive)
    """Between two connections by dials of our own of which one, drawn by lot, makes room for another dial: who came to have all of them
    does not keep them, although its connections never end by themselves."""
    tested_within: int = attrs.field(default=4 * 3_600 * SECOND, validator=_positive)
    """A reached peer that was good within this time is not tested again to make room for another."""
    contests_max: int = attrs.field(default=16, validator=attrs.validators.ge(0))
    """Reached peers that wait for such a test at one time."""
    draws_max: int = attrs.field(default=16, validator=_positive)
    """Draws for a peer to dial, before one is taken that is of little use: `mina_p2p.peer.choice`."""
    salt: bytes | None = attrs.field(
        default=None, validator=attrs.validators.optional(attrs.validators.and_(attrs.validators.min_len(16), attrs.validators.max_len(16)))
    )
    """16 bytes that decide who shares a bucket; no peer shall know them, and they should stay over restarts. ``None``: from the seed,
    which is for simulations: it is told in every log."""
    remembered: tuple[RememberedPeer, ...] = attrs.field(default=(), validator=attrs.validators.max_len(REMEMBERED_MAX))
    """What the program has kept from the last run."""

    def believes(self, source: PeerSource) -> bool:
        """Whether peers are taken from that source."""
        return source in GIVEN or source in self.sources
