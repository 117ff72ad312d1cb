"""Blocks: every limit, wait and choice."""

from __future__ import annotations

import attrs

from mina_p2p.channels.block.messages import BODY_BYTES_MAX
from mina_p2p.ids import MILLISECOND, SECOND
from mina_p2p.record import Record, record

_positive = attrs.validators.gt(0)


ALONG_MS = 20
"""Of a node's own connection, for a body that comes along where part of its items is here: three may, and a question takes a round trip."""
ALONG_COLD_MS = 100
"""The same, where next to none of them is."""


@record
class BlocksConfig(Record):
    """Bounds and waits. Durations are nanoseconds, sizes bytes."""

    header_permissions_max: int = attrs.field(default=3, validator=_positive)
    """Peers that may send us a header at one time; the others send hashes."""
    body_along_max: int = attrs.field(
        default=512, validator=attrs.validators.and_(attrs.validators.ge(0), attrs.validators.le(BODY_BYTES_MAX))
    )
    """Up to this size a body comes with its header, where items are nearly always here already."""
    link_bytes_per_second: int = attrs.field(default=12_500_000, validator=attrs.validators.ge(0))
    """How wide this node's own connection is, 0 where that is not known. Where items are not here already, a body comes with its header that takes less
    than 20 ms of it, or 100 ms where next to none is here: one more question would take longer. And whole bodies are sent one after the other at
    that rate."""
    warm_percent: int = attrs.field(default=98, validator=attrs.validators.and_(attrs.validators.ge(0), attrs.validators.le(100)))
    """Where as much of the last block's items was here already, items are taken to be here."""
    parallel_max: int = attrs.field(default=4, validator=_positive)
    """Peers that are asked for a block's items at one time."""
    held_max: int = attrs.field(default=4, validator=attrs.validators.ge(3))
    """Blocks that are kept to serve them; the oldest goes first, but never the best one."""
    items_bytes_max: int = attrs.field(default=256 << 20, validator=_positive)
    """Transactions and snark works that are kept for blocks to come."""
    items_max: int = attrs.field(default=20_000, validator=_positive)
    """The same, how many: an outline by salted ids costs a hash of each, 3 microseconds."""
    races_max: int = attrs.field(default=48, validator=_positive)
    """Blocks of which it is remembered who announced them when."""
    losers_max: int = attrs.field(default=64, validator=_positive)
    """Hashes of blocks of no use that are remembered, so that they are not asked for again."""
    serve_factor: int = attrs.field(default=4, validator=attrs.validators.ge(2))
    """A peer is sent of one block at most so many times its size, whatever it asks. Announced and then fetched piece by piece it has more than once its size."""
    cold_percent: int = attrs.field(default=30, validator=attrs.validators.and_(attrs.validators.ge(0), attrs.validators.le(100)))
    """Where less of the last block's items was here already, whole blocks are asked for."""
    warmth_at_start: int = attrs.field(default=0, validator=attrs.validators.and_(attrs.validators.ge(0), attrs.validators.le(100)))
    """Percent of a block's items that a node which starts expects to have."""
    relays_before_verdict: bool = False
    """Whether a block is offered to peers as soon as it is whole and would win. If its header is found invalid later, this node pays
    for what it said: for networks whose nodes all do so, or where proofs are checked elsewhere."""
    announces_while_checking: bool = True
    """Whether those who may be sent hashes hear of a block while its verdict is waited for or its body is fetched, so that they ask for its
    header meanwhile. They get it once this node holds the block, or hear that it does not."""
    questions_waiting_max: int = attrs.field(default=4, validator=_positive)
    """Questions of one peer that wait for that."""
    send_ahead: int = attrs.field(default=200 * MILLISECOND, validator=_positive)
    """A whole body is sent once all before it will have left this node's own connection within so long: until then whoever asked for it may turn to others."""
    along_ahead: int = attrs.field(default=700 * MILLISECOND, validator=_positive)
    """A large body is sent along with its header while all before it will have left within so long: whoever has to ask for it waits for a round trip, and then for
    its turn."""
    queues_max: int = attrs.field(default=8, validator=_positive)
    """Peers that may have us wait, until they have sent bodies to others, for one block's."""
    hedge: int = attrs.field(default=1 * SECOND, validator=_positive)
    """After this another peer is asked too."""
    answer: int = attrs.field(default=30 * SECOND, validator=_positive)
    """After this whoever announced a block and does not deliver is left."""
    question_waiting: int = attrs.field(default=20 * SECOND, validator=attrs.validators.and_(_positive, attrs.validators.le(25 * SECOND)))
    """A question that waited so long is answered with no: before its sender takes it for withheld, after 30 s."""
    verdict: int = attrs.field(default=60 * SECOND, validator=_positive)
    """For the node software's verdict on a header."""
    candidate: int = attrs.field(default=120 * SECOND, validator=_positive)
    """For a block from its first announcement to its last byte and verdict."""
    interval: int = attrs.field(default=1 * SECOND, validator=_positive)
    """Between two announcements of one peer that were of no use: a state hash costs milliseconds. After the second header in a row that lost, and each further one, twice as long, up to 16 times."""
    settle: int = attrs.field(default=5 * SECOND, validator=_positive)
    """From a permission that was withdrawn to the next one, which must not overtake it."""
    parked: int = attrs.field(default=600 * SECOND, validator=_positive)
    """A permission that nobody used is withdrawn and given anew."""
    granularity: int = attrs.field(default=100 * MILLISECOND, validator=_positive)
    """Resolution of all of the above: never early, at most this late."""

    def body_along_unknown_max(self, *, is_cold: bool) -> int:
        """Up to this size a body comes with its header, where items are not nearly always here already; ``is_cold`` where next to none is."""
        return min(BODY_BYTES_MAX, self.link_bytes_per_second * (ALONG_COLD_MS if is_cold else ALONG_MS) // 1_000)
