"""The permission machine, each half by itself."""

from __future__ import annotations

from typing import Any

from mina_p2p import transport
from mina_p2p.channels.propagation import actions as prop
from mina_p2p.channels.propagation.state import Responded, WaitingForRequest
from mina_p2p.config import Limits
from mina_p2p.disconnection.reasons import StreamResetCode
from mina_p2p.ids import ChannelId, StreamId
from mina_p2p.state import P2pState
from slices.items import block, insert_payment, payment_info
from slices.lab import Lab, hello
from slices.transitions import CID, LATE, Case, Table

TX = ChannelId.TRANSACTION
TIP = ChannelId.BEST_TIP
MINE = StreamId(5)
"""The stream of our permission on the transaction channel, in the states below."""
MINE_TIP = StreamId(1)
FOREIGN = StreamId(4)
"""A stream that the peer opened."""
OTHER = StreamId(400)


def _local_states() -> dict[str, P2pState]:
    lab = Lab()
    lab.arrive(1)
    states = {"no channel": lab.state}
    lab.feed(transport.ConnectionHelloReceived(CID, hello()))
    states["Requested"] = lab.state
    lab.promise(CID, TX, 2)
    states["Responding, 0 of 2"] = lab.state
    lab.item(CID, TX, payment_info(1))
    states["Responding, 1 of 2"] = lab.state
    lab.item(CID, TX, payment_info(2))
    states["Responding, 2 of 2"] = lab.state
    lab = Lab(limits=Limits(candidates_per_peer_max=1, propagation_request_max=1))
    lab.accept(1)
    lab.announce(CID, TX, payment_info(1))
    states["Responded, no room for more"] = lab.state
    lab = Lab()
    lab.accept(1)
    requested = lab.state.channels.propagation(CID, TX)
    assert requested is not None
    for name, half in (("WaitingForRequest", WaitingForRequest()), ("Responded", Responded(1))):
        states[name] = lab.state.replace(channels=lab.state.channels.with_propagation(CID, TX, requested.replace(local=half)))
    lab.reset(CID, TX)
    states["Paused"] = lab.state
    return states


def _local(state: P2pState) -> Any:
    machine = state.channels.propagation(CID, TX)
    return None if machine is None else machine.local


LOCAL = Table(
    _local_states(),
    {
        "RequestSend": Case(prop.ChannelsPropagationRequestSend(CID, TX)),
        "PromiseReceived 0": Case(prop.ChannelsPropagationPromiseReceived(CID, TX, MINE, 0)),
        "PromiseReceived 1": Case(prop.ChannelsPropagationPromiseReceived(CID, TX, MINE, 1)),
        "PromiseReceived, the limit": Case(prop.ChannelsPropagationPromiseReceived(CID, TX, MINE, 32)),
        "PromiseReceived, over the limit": Case(prop.ChannelsPropagationPromiseReceived(CID, TX, MINE, 33)),
        "PromiseReceived, elsewhere": Case(prop.ChannelsPropagationPromiseReceived(CID, TX, OTHER, 1)),
        "Received": Case(prop.ChannelsPropagationReceived(CID, TX, MINE, payment_info(3))),
        "Received, elsewhere": Case(prop.ChannelsPropagationReceived(CID, TX, OTHER, payment_info(3))),
        "AnswerEnded": Case(prop.ChannelsPropagationAnswerEnded(CID, TX, MINE)),
        "AnswerEnded, elsewhere": Case(prop.ChannelsPropagationAnswerEnded(CID, TX, OTHER)),
        "AnswerReset": Case(prop.ChannelsPropagationAnswerReset(CID, TX, MINE, StreamResetCode.REFUSED)),
        "AnswerReset, elsewhere": Case(prop.ChannelsPropagationAnswerReset(CID, TX, OTHER, StreamResetCode.REFUSED)),
        "Timeout, early": Case(prop.ChannelsPropagationTimeout(CID, TX)),
        "Timeout, late": Case(prop.ChannelsPropagationTimeout(CID, TX), LATE),
    },
    _local,
    {
        "RequestSend": {
            "WaitingForRequest": "Requested: ChannelsEffectfulRequestSend",
            "Responded": "Requested: ChannelsEffectfulRequestSend",
        },
        "PromiseReceived 1": {
            "Requested": "Responding",
        },
        "PromiseReceived, the limit": {
            "Requested": "Responding",
        },
        "Received": {
            "Responding, 0 of 2": "Responding: PoolCandidateReceived",
            "Responding, 1 of 2": "Responding: PoolCandidateReceived",
        },
        "AnswerEnded": {
            "Responding, 2 of 2": "Responded: ChannelsPropagationRequestSend",
        },
        "AnswerReset": {
            "Requested": "Paused",
            "Responding, 0 of 2": "Paused",
            "Responding, 1 of 2": "Paused",
            "Responding, 2 of 2": "Paused",
        },
        "Timeout, late": {
            "Requested": "Paused: ChannelsEffectfulStreamReset",
            "Responding, 0 of 2": "Responding: DisconnectionInit",
            "Responding, 1 of 2": "Responding: DisconnectionInit",
            "Responding, 2 of 2": "Responding: DisconnectionInit",
            "Paused": "WaitingForRequest: ChannelsPropagationRequestSend",
        },
    },
)


def _tip_states() -> dict[str, P2pState]:
    lab = Lab()
    lab.accept(1)
    states = {"Requested": lab.state}
    lab.item(CID, TIP, block(1))
    states["Responding, 1 of 1"] = lab.state
    return states


def _local_of_tips(state: P2pState) -> Any:
    machine = state.channels.propagation(CID, TIP)
    return None if machine is None else machine.local


TIPS_LOCAL = Table(
    _tip_states(),
    {
        "Received": Case(prop.ChannelsPropagationReceived(CID, TIP, MINE_TIP, block(2))),
        "Received, elsewhere": Case(prop.ChannelsPropagationReceived(CID, TIP, OTHER, block(2))),
        "AnswerEnded": Case(prop.ChannelsPropagationAnswerEnded(CID, TIP, MINE_TIP)),
    },
    _local_of_tips,
    {
        "Received": {
            "Requested": "Responding: PeerBestTipReceived",
        },
        "AnswerEnded": {
            "Responding, 1 of 1": "Paused",
        },
    },
)


def _remote_states() -> dict[str, P2pState]:
    lab = Lab()
    lab.arrive(1)
    states = {"no channel": lab.state}
    lab.feed(transport.ConnectionHelloReceived(CID, hello()))
    states["WaitingForRequest"] = lab.state
    lab.get_next(CID, TX, 2, FOREIGN)
    states["RemoteRequested"] = lab.state
    lab.feed(insert_payment(1))
    states["RemoteResponded"] = lab.state
    return states


def _response(count: int, first: int, last: int) -> prop.ChannelsPropagationResponseSend:
    return prop.ChannelsPropagationResponseSend(CID, TX, tuple(payment_info(n) for n in range(1, count + 1)), first, last)


def _remote(state: P2pState) -> Any:
    machine = state.channels.propagation(CID, TX)
    return None if machine is None else machine.remote


REMOTE = Table(
    _remote_states(),
    {
        "RequestReceived 0": Case(prop.ChannelsPropagationRequestReceived(CID, TX, OTHER, 0)),
        "RequestReceived 1": Case(prop.ChannelsPropagationRequestReceived(CID, TX, OTHER, 1)),
        "RequestReceived, on the answered stream": Case(prop.ChannelsPropagationRequestReceived(CID, TX, FOREIGN, 1)),
        "ResponseSend 0": Case(_response(0, 0, 0)),
        "ResponseSend, the limit": Case(_response(2, 0, 1)),
        "ResponseSend, over the limit": Case(_response(3, 0, 2)),
        "ResponseSend, backwards": Case(_response(1, 1, 0)),
        "RequestCancelled": Case(prop.ChannelsPropagationRequestCancelled(CID, TX, FOREIGN)),
        "RequestCancelled, elsewhere": Case(prop.ChannelsPropagationRequestCancelled(CID, TX, OTHER)),
    },
    _remote,
    {
        "RequestReceived 1": {
            "WaitingForRequest": "RemoteRequested: PoolSend",
            "RemoteResponded": "RemoteRequested: PoolSend",
        },
        "RequestReceived, on the answered stream": {
            "WaitingForRequest": "RemoteRequested: PoolSend",
        },
        "ResponseSend, the limit": {
            "RemoteRequested": "RemoteResponded: ChannelsEffectfulAnswerSend",
        },
        "RequestCancelled": {
            "RemoteRequested": "WaitingForRequest",
            "RemoteResponded": "RemoteResponded",
        },
    },
)
