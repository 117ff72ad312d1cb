"""The server's half of SocketCluster, as far as Redux DevTools speaks it; sans I/O.

Messages are JSON. A call has ``event``, ``data`` and ``cid``, its answer the same number as
``rid``; without ``cid`` no answer is wanted. The interface shakes hands, calls ``login``,
is told the channel on which a server publishes, subscribes to it, transmits ``respond``
with ``START``, and from then on ``sc-ID`` for every button and every move of the slider. An
empty message is a ping, its echo the pong.

Source: SocketCluster ``socketcluster-protocol.md``; ``@redux-devtools/app`` 8.0.0 ``src/middlewares/api.ts``.
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from mina_p2p.record import Record, record

CHANNEL: Final = "log"
"""Where states are published."""

CONNECTION: Final = "mina-p2p"
"""What the interface takes for the program that it watches."""

PING: Final = ""
PING_TIMEOUT_MS: Final = 60_000
"""How long the interface waits for a sign of the server before it connects anew."""

_SUBSCRIBABLE: Final = (CHANNEL, "report")


@record
class Started(Record):
    """The interface is ready for a state."""


@record
class Asked(Record):
    """The interface did something: a button, or the slider."""

    kind: str
    """``DISPATCH`` for what a monitor does, ``ACTION`` for an action that was typed in, and others."""
    action: dict[str, Any]
    """Such as ``{"type": "JUMP_TO_ACTION", "actionId": 7}``."""


class _Packet(msgspec.Struct):
    event: str
    data: Any = None
    cid: int | None = None


class _Data(msgspec.Struct):
    type: str = ""
    channel: str = ""
    action: dict[str, Any] = {}


class Conversation:
    """One browser's connection: what came in goes to `receive`, what is to be sent comes out of it."""

    def __init__(self, socket_id: str) -> None:
        self._socket_id = socket_id
        self.is_subscribed = False

    def receive(self, text: str) -> tuple[list[str], list[Started | Asked]]:
        """Take one message.

        :returns: messages to send, and what the interface wants; nothing for what is not of the protocol.
        """
        try:
            packet = msgspec.json.decode(text, type=_Packet)
        except (msgspec.DecodeError, RecursionError):
            return [], []  # a pong, or nothing that we know
        try:
            data = msgspec.convert(packet.data, _Data)
        except msgspec.ValidationError:
            data = _Data()
        answer, error, wants = self._take(packet.event, data)
        if packet.cid is None:
            return [], wants
        said = {"error": {"name": "InvalidActionError", "message": error}} if error else {"data": answer}
        return [json.dumps({"rid": packet.cid, **said})], wants

    def _take(self, event: str, data: _Data) -> tuple[Any, str, list[Started | Asked]]:
        """Answer, error, wishes."""
        match event:
            case "#handshake":
                return {"id": self._socket_id, "isAuthenticated": False, "pingTimeout": PING_TIMEOUT_MS}, "", []
            case "login":
                return CHANNEL, "", []
            case "#subscribe":
                if data.channel not in _SUBSCRIBABLE:
                    return None, f"there is no channel {data.channel!r}", []
                self.is_subscribed = self.is_subscribed or data.channel == CHANNEL
                return None, "", []
            case "respond":
                return None, "", [Started()] if data.type == "START" else []
            case _ if event == f"sc-{CONNECTION}":
                return None, "", [Asked(data.type, data.action)]
            case _:
                return None, f"there is no {event}", []


def publish(data: str) -> str:
    """The message that publishes ``data``, which is JSON already."""
    return f'{{"event":"#publish","data":{{"channel":"{CHANNEL}","data":{data}}}}}'
