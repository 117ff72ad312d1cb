"""Our node as the interop tests need it: it serves identify, ping and echo by itself."""

from __future__ import annotations

from typing import Annotated, Any

from libp2p.nodes import Node
from libp2p.pairs import ECHO

from mina_p2p.address import Libp2pAddress, parse_address
from mina_p2p.record import Record, record
from mina_p2p.wire.notation import MaxItems
from mina_p2p.wire.protobuf import Number, protobuf
from mina_p2p_effects.transports.libp2p.events import FIRST_PEER_HANDLE, Event, StreamEnded, StreamLost, StreamMessage, StreamOpened
from mina_p2p_effects.transports.libp2p.protocols import Framing, StreamProtocol

PING = StreamProtocol("/ipfs/ping/1.0.0", Framing.RAW, 0)
IDENTIFY = StreamProtocol("/ipfs/id/1.0.0", Framing.DELIMITED, 8192)


@record
class Identify(Record):
    """Who a node is (spec: libp2p 7)."""

    public_key: Annotated[bytes | None, Number(1)] = None
    listen_addrs: Annotated[tuple[bytes, ...], Number(2), MaxItems(100)] = ()
    protocols: Annotated[tuple[str, ...], Number(3), MaxItems(100)] = ()
    protocol_version: Annotated[str | None, Number(5)] = None
    agent_version: Annotated[str | None, Number(6)] = None


class OurNode(Node):
    """Answers what the other side opens; what we open is left to the test."""

    def __init__(self, number: int, *, identifies: bool = True, more: tuple[StreamProtocol, ...] = (), **options: Any) -> None:
        super().__init__(number, protocols=(ECHO, PING, *([IDENTIFY] if identifies else []), *more), **options)
        self.on_event = self._serve

    def _serve(self, number: int, event: Event) -> None:
        if not isinstance(event, StreamOpened | StreamMessage | StreamEnded | StreamLost) or event.handle < FIRST_PEER_HANDLE:
            return
        self.told.pop()  # what they open is none of the test's business
        match event:
            case StreamOpened(handle=handle, protocol=IDENTIFY.name):
                who = self.secret_key.peer_id
                message = Identify(who.protobuf, (), (ECHO.name, PING.name, IDENTIFY.name), "ipfs/0.1.0", "mina_p2p")
                self.endpoint.send(number, handle, protobuf(Identify).encode(message))
                self.endpoint.close_write(number, handle)
            case StreamMessage(handle=handle, data=data):
                self.endpoint.send(number, handle, data)
            case StreamEnded(handle=handle):
                self.endpoint.close_write(number, handle)
            case _:
                pass

    @property
    def dial_text(self) -> str:
        """Our address as others dial it."""
        return f"/ip4/127.0.0.1/tcp/{self.address.port}/p2p/{self.secret_key.peer_id.libp2p}"


def theirs(text: str) -> Libp2pAddress:
    """The other node's address."""
    address = parse_address(text)
    assert isinstance(address, Libp2pAddress)
    return address
