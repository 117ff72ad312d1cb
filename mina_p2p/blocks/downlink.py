"""A node's own connection in a study, towards the node.

What arrives is taken in one after the other, in the order of arrival: what comes from near does not wait for what was sent
earlier from afar. (`mina_p2p.testing.links.MemoryPort.read_rate`, which makes nodes slow in campaigns, keeps the order of sending.)
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from mina_p2p.ids import SECOND, Timestamp
from mina_p2p.libp2p.transport import Libp2pStreamMessageReceived
from mina_p2p.testing.clockwork import Clockwork
from mina_p2p.testing.links import FRAME_HEADER_BYTES, MemoryPort
from mina_p2p.transport import ChannelsMessageReceived


class Downlink:
    """Stands between the network and one node."""

    def __init__(self, clockwork: Clockwork, port: MemoryPort, rate: int) -> None:
        """Take everything in at ``rate`` bytes per second from now on."""
        self._clockwork: Final = clockwork
        self._feed: Final = port.feed
        self._rate: Final = rate
        self._free_at = clockwork.now
        port.feed = self.take

    def take(self, event: Any) -> None:
        """Something has arrived; the node has it once it and all before it are read."""
        size = 0
        match event:
            case ChannelsMessageReceived(frame=payload) | Libp2pStreamMessageReceived(data=payload):
                size = FRAME_HEADER_BYTES + len(payload)
            case _:
                pass
        self._free_at = Timestamp(max(self._clockwork.now, self._free_at) + size * SECOND // self._rate)
        self._clockwork.at(self._free_at, partial(self._feed, event))
