"""What all connections of one node share."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import field

from mina_p2p.record import Record, record
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.transports.libp2p.config import Libp2pConfig
from mina_p2p_effects.transports.libp2p.protocols import StreamProtocol


class Budget:
    """What the connections of one node hold together."""

    __slots__ = ("held_bytes",)

    def __init__(self) -> None:
        self.held_bytes = 0


@record
class Profile(Record):
    """Who a node is, what it speaks and what it allows."""

    secret_key: SecretKey
    config: Libp2pConfig
    protocols: Mapping[str, StreamProtocol]
    """Protocols of streams, by id: those that are accepted, and those that may be proposed."""
    network_key: bytes | None
    """The pre-shared key of the private network, 32 bytes; ``None`` for the open one."""
    random: Callable[[int], bytes]
    """As many random bytes as asked for; they make keys."""
    budget: Budget = field(factory=Budget)
