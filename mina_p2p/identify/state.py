"""What peers have said of themselves."""

from __future__ import annotations

from mina_p2p.address import Libp2pAddress
from mina_p2p.ids import PeerNumber
from mina_p2p.record import Record, record
from mina_p2p.table import Table, empty_table

PARTS_MAX = 10
"""Messages that make one answer; as Go reads them."""
PROTOCOLS_KEPT_MAX = 64
PROTOCOL_CHARS_MAX = 128
AGENT_CHARS_MAX = 100


@record
class Identity(Record):
    """One peer's answer, as far as it is of use."""

    protocols: tuple[str, ...]
    addresses: tuple[Libp2pAddress, ...]
    agent: str

    @property
    def is_rust(self) -> bool:
        """Whether it looks like Mina's Rust node, which ends connections on Kademlia requests that it does not know."""
        return self.agent == "mina"


@record
class Identify(Record):
    """The slice."""

    peers: Table[PeerNumber, Identity] = empty_table()
    parts: Table[int, tuple[bytes, ...]] = empty_table()
    """Messages of answers that have not ended, by the serial of their stream."""
