"""The RPC channel of one connection: our questions and the peer's."""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.channels.rpc.messages import RpcRequest
from mina_p2p.ids import ChannelId, RequestId, StreamId, Timestamp
from mina_p2p.record import Record, record


@record
class ForNode(Record):
    """The node software asked; the answer is a notification."""

    request_id: RequestId


@record
class ForDiscovery(Record):
    """The peer table asked for more peers."""


@record
class ForPool(Record):
    """A pool asked for what was announced to it."""

    channel: ChannelId
    candidate: int
    """The candidate's number."""


Purpose: TypeAlias = ForNode | ForDiscovery | ForPool
"""Who wants the answer of a request."""


@record
class Requested(Record):
    """A question of ours that is not answered yet."""

    id: int
    request: RpcRequest
    purpose: Purpose
    stream: StreamId
    deadline: Timestamp
    answer_bytes_max: int


@record
class Responded(Record):
    """A question that is answered, on a stream that has not ended yet."""

    id: int
    stream: StreamId
    deadline: Timestamp

    @property
    def answer_bytes_max(self) -> int:
        """Nothing more may come."""
        return 0


@record
class Serving(Record):
    """A question of the peer's that waits for our answer."""

    serial: int
    """Ours; the peer's id is the peer's choice and keys nothing."""
    id: int
    request: RpcRequest
    stream: StreamId
    deadline: Timestamp


@record
class Rpc(Record):
    """Both directions; each list is short and bounded by configuration."""

    requests: tuple[Requested | Responded, ...] = ()
    serving: tuple[Serving, ...] = ()
    next_serial: int = 0

    @property
    def answer_bytes_granted(self) -> int:
        """Credit that is out for answers."""
        granted = 0
        for request in self.requests:
            granted += request.answer_bytes_max
        return granted

    def request(self, request_id: int) -> Requested | Responded | None:
        """The question of ours with that id."""
        for request in self.requests:
            if request.id == request_id:
                return request
        return None

    def request_on(self, stream: StreamId) -> Requested | Responded | None:
        """The question of ours on that stream."""
        for request in self.requests:
            if request.stream == stream:
                return request
        return None

    def serving_by(self, serial: int) -> Serving | None:
        """The peer's question under our serial."""
        for serving in self.serving:
            if serving.serial == serial:
                return serving
        return None

    def without_request(self, request_id: int) -> Rpc:
        """Without that question of ours."""
        return self.replace(requests=tuple([request for request in self.requests if request.id != request_id]))

    def without_serving(self, serial: int) -> Rpc:
        """Without that question of the peer's."""
        return self.replace(serving=tuple([serving for serving in self.serving if serving.serial != serial]))
