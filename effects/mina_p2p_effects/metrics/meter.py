"""`Meter`: counts a node's traffic and permissions by watching its store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from mina_p2p.channels.propagation.actions import ChannelsPropagationPromiseReceived, ChannelsPropagationReceived
from mina_p2p.channels.rpc.actions import ChannelsRpcResponseReceived
from mina_p2p.disconnection.actions import DisconnectionInit
from mina_p2p.ids import ChannelId, Timestamp
from mina_p2p.state import P2pState
from mina_p2p.store import Steps, Store
from mina_p2p.transport import (
    ChannelsEffectfulAnswerSend,
    ChannelsEffectfulRequestSend,
    ChannelsMessageReceived,
    ConnectionEffectfulHelloSend,
    ConnectionHelloReceived,
)

FRAME_HEADER_BYTES = 4
VIOLATIONS_MAX = 100
"""So many are kept with their reasons; further ones are only counted."""


@attrs.define
class Totals:
    """What has been counted so far. Bytes are frames with their headers, without what the transport adds."""

    bytes_in: int = 0
    bytes_out: int = 0
    permissions_granted: int = 0
    """Requests of ours: each permits an answer."""
    permissions_used: int = 0
    """Permissions that a peer used, at least for one item."""
    items_received: int = 0
    violations: int = 0
    violation_reasons: list[str] = attrs.field(factory=list[str])


class Meter:
    """Counts from its making on."""

    def __init__(self, store: Store[P2pState]) -> None:
        self.totals = Totals()
        self._count_by_kind: dict[type[Any], Callable[[Any], None]] = {
            ChannelsEffectfulRequestSend: self._request_sent,
            ChannelsEffectfulAnswerSend: self._answer_sent,
            ConnectionEffectfulHelloSend: self._hello_sent,
            ConnectionHelloReceived: self._frame_received,
            ChannelsMessageReceived: self._frame_received,
            ChannelsPropagationReceived: self._item_received,
            ChannelsPropagationPromiseReceived: self._answer_begun,
            ChannelsRpcResponseReceived: self._answer_begun,
            DisconnectionInit: self._ended,
        }
        self.stop = store.observe(self._observe)

    def _observe(self, _action: Any, _now: Timestamp, steps: Steps, _state: Any) -> None:
        table = self._count_by_kind
        for action, _, _ in steps.raw:
            if (count := table.get(action.__class__)) is not None:
                count(action)

    def _request_sent(self, action: ChannelsEffectfulRequestSend) -> None:
        self.totals.bytes_out += FRAME_HEADER_BYTES + len(action.frame)
        self.totals.permissions_granted += 1

    def _answer_sent(self, action: ChannelsEffectfulAnswerSend) -> None:
        self.totals.bytes_out += sum(FRAME_HEADER_BYTES + len(frame) for frame in action.frames)

    def _hello_sent(self, action: ConnectionEffectfulHelloSend) -> None:
        self.totals.bytes_out += FRAME_HEADER_BYTES + len(action.frame)

    def _frame_received(self, action: ChannelsMessageReceived | ConnectionHelloReceived) -> None:
        self.totals.bytes_in += FRAME_HEADER_BYTES + len(action.frame)

    def _item_received(self, action: ChannelsPropagationReceived) -> None:
        self.totals.items_received += 1
        if action.channel == ChannelId.BEST_TIP:
            # Its item comes without a promise, one to a permission.
            self.totals.permissions_used += 1

    def _answer_begun(self, _action: ChannelsPropagationPromiseReceived | ChannelsRpcResponseReceived) -> None:
        self.totals.permissions_used += 1

    def _ended(self, action: DisconnectionInit) -> None:
        if action.reason.code.is_violation:
            self.totals.violations += 1
            if len(self.totals.violation_reasons) < VIOLATIONS_MAX:
                self.totals.violation_reasons.append(str(action.reason))
