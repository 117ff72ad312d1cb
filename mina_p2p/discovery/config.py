"""The discovery by addresses: its numbers, and which of its healing additions are on."""

from __future__ import annotations

import attrs

from mina_p2p.address import DialAddress
from mina_p2p.gossiper.parameters import GossipParameters
from mina_p2p.ids import SECOND
from mina_p2p.record import Record, record

ADDRESSES_MAX = 4
TTL_MAX = 3_600 * SECOND
"""Longer than this no record is believed."""
OWN_AHEAD_MAX = 86_400 * SECOND
"""How far before our clock a date of our own may be that we date after: a clock that was years ahead once shall not be followed for ever."""

_positive = attrs.validators.gt(0)

ADDRESS_GOSSIP_PARAMETERS = GossipParameters(remainder_timeout=10 * SECOND, is_versioned=True)
"""Records are dated, so that what is old is refused by its date and not because it is remembered."""


@record
class AddressGossipConfig(Record):
    """How a node gossips addresses; it does where `P2pConfig.channels` has ``ChannelId.ADDRESS_GOSSIP``. Durations are nanoseconds."""

    addresses: tuple[DialAddress, ...] = attrs.field(default=(), validator=attrs.validators.max_len(ADDRESSES_MAX))
    """Where this node can be dialled, which is what it tells of itself. Without any it tells nothing and still hears."""
    is_strict: bool = False
    """Whether the proposal's six rules are all there is: no dial is ever repeated but after a newer record (``strict_cep``)."""
    are_configured_redialled: bool = True
    """Whether peers that a person named are dialled at each tick while they are not connected (AG-1)."""
    are_failures_retried: bool = True
    """Whether peers are dialled again after a pause that grows with each failure; else one is forgotten when its pause is over."""
    gossip: GossipParameters = ADDRESS_GOSSIP_PARAMETERS
    """How far and how long an address is gossiped."""
    interval: int = attrs.field(default=120 * SECOND, validator=_positive)
    """Between two records of our own."""
    first_after: int = attrs.field(default=5 * SECOND, validator=_positive)
    """From the start to our first record, unless a peer is found before."""
    ttl: int = attrs.field(default=900 * SECOND, validator=attrs.validators.and_(_positive, attrs.validators.le(TTL_MAX)))
    """For how long others shall believe a record of ours."""
    clock_skew: int = attrs.field(default=120 * SECOND, validator=_positive)
    """How far a record may be dated in the future."""
    last_issued_at: int = attrs.field(default=0, validator=attrs.validators.ge(0))
    """Date of the last record before this start, in seconds since 1970, where the program knows it: dates never go back."""
    issues_burst: int = attrs.field(default=3, validator=_positive)
    """Records of one node that are taken at once; then one each ``issue_pause``. So for our own."""
    issue_pause: int = attrs.field(default=30 * SECOND, validator=_positive)
    """Between two records of one node in the long run."""
    advert_limit: int = attrs.field(default=16, validator=attrs.validators.and_(_positive, attrs.validators.le(16)))
    """Records that one permission lets a peer name."""
    cooldown: int = attrs.field(default=5 * SECOND, validator=_positive)
    """From one message of a peer that names records to the next permission for one."""
    cooldown_few: int = attrs.field(default=1 * SECOND, validator=_positive)
    """The same while there are fewer connections than wished for."""
    cooldown_bad: int = attrs.field(default=60 * SECOND, validator=_positive)
    """The same for a peer whose records were of little use."""
    coalescing: int = attrs.field(default=100_000_000, validator=_positive)
    """How long to wait for more records to name in the same message."""
    fetch_timeout: int = attrs.field(default=10 * SECOND, validator=_positive)
    """A peer's answer with records."""
    verifications_per_second: int = attrs.field(default=50, validator=_positive)
    """Signatures that are checked, for all peers; what comes beyond that is not taken."""
    verification_timeout: int = attrs.field(default=10 * SECOND, validator=_positive)
    """The runtime's word on a signature; without it the record is asked of another peer that named it."""
    book_max: int = attrs.field(default=2_048, validator=_positive)
    """Records that are kept, of as many nodes."""
    unproven_max: int = attrs.field(default=1_024, validator=_positive)
    """How many of these may be of nodes that we have not met; more take the place of those of the peer that brought most."""
    dials_per_minute: int = attrs.field(default=30, validator=attrs.validators.and_(_positive, attrs.validators.le(1_000)))
    """Records that lead to a dial in any minute, so that nobody has us dial others without end; further ones wait, and one drawn by lot
    is next."""
    unproven_per_relayer_max: int = attrs.field(default=64, validator=_positive)
    """Records from one peer of nodes that we have not met; more of its are not taken."""
    unproven_per_group_max: int = attrs.field(default=16, validator=_positive)
    """Records of nodes that we have not met in one network (``Limits.group_ipv4_bits``), by all peers; private networks are exempt."""

    @property
    def redials_configured(self) -> bool:
        """Whether AG-1 is on."""
        return self.are_configured_redialled and not self.is_strict

    @property
    def retries_failures(self) -> bool:
        """Whether a dial is repeated by time alone."""
        return self.are_failures_retried and not self.is_strict
