"""Simulated nodes that count what comes by a channel for blocks."""

from __future__ import annotations

from typing import Any

from mina_p2p.address import DialAddress
from mina_p2p.blocks.config import BlocksConfig
from mina_p2p.blocks.state import Blocks
from mina_p2p.config import Limits, P2pConfig
from mina_p2p.connection.outgoing.actions import ConnectionOutgoingInit
from mina_p2p.identity import PeerId
from mina_p2p.ids import ChannelId, RequestId
from mina_p2p.testing.sim import Liar, SimNode, Simulation, Software
from mina_p2p.transport import ChannelsMessageReceived, SocketAddress, TransportEvent, TransportKind
from mina_p2p.wire.framing import HEADER_SIZE

BLOCK_CHANNELS = (ChannelId.BEST_TIP, ChannelId.BLOCK)


class BlockNode(SimNode):
    """A node that carries blocks and nothing else; by channel 10 with peers that do too, where it speaks that."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.received: list[tuple[ChannelId, int, int]] = []
        """Channel, tag and size of every frame, its length header included."""

    def feed(self, event: TransportEvent) -> None:
        """Take an event of the network."""
        if isinstance(event, ChannelsMessageReceived) and event.channel in BLOCK_CHANNELS:
            self.received.append((event.channel, event.frame[0] if event.frame else -1, HEADER_SIZE + len(event.frame)))
        super().feed(event)

    @property
    def bytes_received(self) -> int:
        """Of all these frames."""
        return sum(size for _, _, size in self.received)

    @property
    def blocks(self) -> Blocks:
        """The slice."""
        return self.state.blocks


class BlockSimulation(Simulation):
    """A network of such nodes, which dial nobody by themselves."""

    def add_block_node(
        self,
        *,
        software: Software | None = None,
        liar: Liar | None = None,
        warmth: int = 0,
        is_header_first: bool = True,
        **config: Any,
    ) -> BlockNode:
        """Start a node.

        :param warmth: percent of a block's items that it expects to have at first.
        :param is_header_first: whether it speaks channel 10.
        :param config: fields of `BlocksConfig` that differ from the defaults.
        """
        number = len(self.nodes) + 1
        settings = P2pConfig(
            PeerId(number.to_bytes(32, "big")),
            self.chain_id,
            seed=(self.seed * 1_000_003 + number) % (1 << 64),
            transport=TransportKind.MEMORY,
            channels=BLOCK_CHANNELS if is_header_first else (ChannelId.BEST_TIP,),
            is_discovery_enabled=False,
            blocks=BlocksConfig(warmth_at_start=warmth, **config),
            limits=Limits(peers_min=0, peers_max=200, peers_per_group_max=200),
        )
        address = SocketAddress(f"1.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", 8302)
        node = BlockNode(self, number, settings, address, software, liar)
        self.nodes.append(node)
        return node

    def connect(self, one: SimNode, other: SimNode) -> None:
        """One node dials another, as its node software wishes."""
        address: DialAddress = other.port.dial_address
        one.dispatch(ConnectionOutgoingInit(address, RequestId(other.number)))
