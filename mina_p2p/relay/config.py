"""What is relayed between the two worlds, and the bounds of it."""

from __future__ import annotations

import enum
from typing import Final

import attrs

from mina_p2p.ids import SECOND, ChannelId
from mina_p2p.libp2p.config import TOPIC_V0
from mina_p2p.record import Record, record


class Relayed(enum.IntEnum):
    """What both worlds spread. The value is the number that its gossip begins with (spec: libp2p 9)."""

    BLOCK = 0
    SNARK = 1
    TRANSACTION = 2


ALL: Final = tuple(Relayed)

CHANNEL_OF: Final = {Relayed.SNARK: ChannelId.SNARK, Relayed.TRANSACTION: ChannelId.TRANSACTION}
"""Where what is no block is pulled."""


def _positive(instance: object, attribute: attrs.Attribute[int], value: int) -> None:
    if value < 1:
        raise ValueError(f"{attribute.name} must be at least 1")


@record
class RelayConfig(Record):
    """How much of each world reaches the other."""

    push_to_pull: tuple[Relayed, ...] = ALL
    """What is heard by gossip and treated as if it had been pulled: told to the node software as such, and given to those who
    pull. Gossip of other kinds reaches the node software as it came (`NetworkPubsubMessageReceived`)."""
    pull_to_push: tuple[Relayed, ...] = ALL
    """What is gossiped of all that was pulled, or that the node software gave."""
    are_questions_translated: bool = True
    """Whether what libp2p's peers ask reaches the node software as `RpcRequested`, where the pull protocol has such a question;
    otherwise all that they ask is a `NetworkRpcRequested`. Its own questions are translated whenever it asks by `PeerAsk`."""
    topic: str = TOPIC_V0
    """Where the three kinds are gossiped."""
    verdict: int = attrs.field(default=60 * SECOND, validator=_positive)
    """Nanoseconds after which a message that nobody has judged is neither passed on nor held against anybody."""
    tip_age_max: int = attrs.field(default=180 * SECOND, validator=_positive)
    """Best tips whose own time is longer ago are not gossiped, in nanoseconds: an OCaml node holds it against the sender of a
    block that its slot is over (``delta`` is 0), and one that catches up has many. Who pulls is given them all the same."""
    messages_max: int = attrs.field(default=256, validator=_positive)
    """Messages that wait for a verdict; others are dropped meanwhile."""
    items_per_message_max: int = attrs.field(default=64, validator=_positive)
    """Transactions of one message; what lists more is dropped."""
    remembered_max: int = attrs.field(default=8192, validator=_positive)
    """Items that are known to have been gossiped, by us or by others."""
    questions_max: int = attrs.field(default=1024, validator=_positive)
    """Questions of libp2p's peers that wait for the node software."""
