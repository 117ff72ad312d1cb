"""Events that are sorted to a slice."""

from __future__ import annotations

from mina_p2p import transport
from mina_p2p.channels.actions import ChannelsReady
from mina_p2p.channels.propagation.kinds import KINDS
from mina_p2p.channels.rpc.messages import (
    RPC_MESSAGE,
    BestTipWithProofRequest,
    RpcRequestMessage,
)
from mina_p2p.channels.transaction.messages import TRANSACTION_MESSAGE, TransactionWillSend
from mina_p2p.disconnection.reasons import StreamResetCode
from mina_p2p.ids import ChannelId, StreamId
from mina_p2p.timeouts import CheckTimeouts
from mina_p2p.transport import TransportKind
from slices.lab import remote
from slices.tables.connections import CONNECTIONS
from slices.transitions import CID, LATE, Case, Table

TX = ChannelId.TRANSACTION
MINE = StreamId(5)
FOREIGN = StreamId(4)
_QUESTION = BestTipWithProofRequest()


_GET_NEXT = KINDS[TX].encode_get_next(3)
_WILL_SEND = TRANSACTION_MESSAGE.encode(TransactionWillSend(1))

EVENTS = Table(
    {key: state for key, state in CONNECTIONS.states.items() if key in {"none", "OutgoingInit", "Ready, dialled", "Ready, arrived"}},
    {
        "ChannelsReady": Case(ChannelsReady(CID)),
        "MessageReceived, their stream": Case(transport.ChannelsMessageReceived(CID, TX, FOREIGN, _GET_NEXT)),
        "MessageReceived, our stream": Case(transport.ChannelsMessageReceived(CID, TX, MINE, _WILL_SEND)),
        "MessageReceived, garbage": Case(transport.ChannelsMessageReceived(CID, TX, FOREIGN, b"\xff")),
        "MessageReceived, a question": Case(
            transport.ChannelsMessageReceived(CID, ChannelId.RPC, FOREIGN, RPC_MESSAGE.encode(RpcRequestMessage(1, _QUESTION)))
        ),
        "MessageReceived, not served": Case(transport.ChannelsMessageReceived(CID, ChannelId.BLOCK, FOREIGN, b"")),
        "StreamEnded, even": Case(transport.ChannelsStreamEnded(CID, TX, FOREIGN)),
        "StreamEnded, odd": Case(transport.ChannelsStreamEnded(CID, TX, MINE)),
        "StreamEnded, of a question, odd": Case(transport.ChannelsStreamEnded(CID, ChannelId.RPC, MINE)),
        "StreamReset, even": Case(transport.ChannelsStreamReset(CID, TX, FOREIGN, StreamResetCode.CANCELLED)),
        "StreamReset, odd": Case(transport.ChannelsStreamReset(CID, TX, MINE, StreamResetCode.CANCELLED)),
        "StreamReset, of a question, even": Case(transport.ChannelsStreamReset(CID, ChannelId.RPC, FOREIGN, StreamResetCode.CANCELLED)),
        "StreamReset, of a question, odd": Case(transport.ChannelsStreamReset(CID, ChannelId.RPC, MINE, StreamResetCode.CANCELLED)),
        "SendBlocked": Case(transport.ChannelsSendBlocked(CID)),
        "SendUnblocked": Case(transport.ChannelsSendUnblocked(CID)),
        "TransportListening": Case(transport.TransportListening(TransportKind.QUIC, remote(100))),
        "TransportListenError": Case(transport.TransportListenError(TransportKind.QUIC, "")),
        "CheckTimeouts": Case(CheckTimeouts()),
        "CheckTimeouts, late": Case(CheckTimeouts(), LATE),
    },
    lambda state: state.channels.table.get(CID),
    {
        "MessageReceived, their stream": {
            "OutgoingInit": "nothing: DisconnectionInit",
            "Ready, dialled": "PeerChannels: DisconnectionInit",
            "Ready, arrived": "PeerChannels: ChannelsPropagationRequestReceived | DisconnectionInit",
        },
        "MessageReceived, our stream": {
            "OutgoingInit": "nothing: DisconnectionInit",
            "Ready, dialled": "PeerChannels: ChannelsPropagationPromiseReceived | DisconnectionInit",
            "Ready, arrived": "PeerChannels: ChannelsPropagationPromiseReceived | DisconnectionInit",
        },
        "MessageReceived, garbage": {
            "OutgoingInit": "nothing: DisconnectionInit",
            "Ready, dialled": "PeerChannels: DisconnectionInit",
            "Ready, arrived": "PeerChannels: DisconnectionInit",
        },
        "MessageReceived, a question": {
            "OutgoingInit": "nothing: DisconnectionInit",
            "Ready, dialled": "PeerChannels: DisconnectionInit",
            "Ready, arrived": "PeerChannels: ChannelsRpcRequestReceived | DisconnectionInit",
        },
        "MessageReceived, not served": {
            "OutgoingInit": "nothing: DisconnectionInit",
            "Ready, dialled": "PeerChannels: DisconnectionInit",
            "Ready, arrived": "PeerChannels: DisconnectionInit",
        },
        "StreamEnded, even": {
            "OutgoingInit": "nothing",
            "Ready, dialled": "PeerChannels: ChannelsPropagationAnswerEnded | DisconnectionInit",
            "Ready, arrived": "PeerChannels",
        },
        "StreamEnded, odd": {
            "OutgoingInit": "nothing",
            "Ready, dialled": "PeerChannels",
            "Ready, arrived": "PeerChannels: ChannelsPropagationAnswerEnded | DisconnectionInit",
        },
        "StreamEnded, of a question, odd": {
            "OutgoingInit": "nothing",
            "Ready, dialled": "PeerChannels",
            "Ready, arrived": "PeerChannels: ChannelsRpcAnswerEnded | DisconnectionInit",
        },
        "StreamReset, even": {
            "OutgoingInit": "nothing",
            "Ready, dialled": "PeerChannels: ChannelsPropagationAnswerReset",
            "Ready, arrived": "PeerChannels: ChannelsPropagationRequestCancelled",
        },
        "StreamReset, odd": {
            "OutgoingInit": "nothing",
            "Ready, dialled": "PeerChannels: ChannelsPropagationRequestCancelled",
            "Ready, arrived": "PeerChannels: ChannelsPropagationAnswerReset",
        },
        "StreamReset, of a question, even": {
            "OutgoingInit": "nothing",
            "Ready, dialled": "PeerChannels: ChannelsRpcAnswerReset",
            "Ready, arrived": "PeerChannels: ChannelsRpcRequestCancelled",
        },
        "StreamReset, of a question, odd": {
            "OutgoingInit": "nothing",
            "Ready, dialled": "PeerChannels: ChannelsRpcRequestCancelled",
            "Ready, arrived": "PeerChannels: ChannelsRpcAnswerReset",
        },
        "SendBlocked": {
            "OutgoingInit": "nothing",
            "Ready, dialled": "PeerChannels",
            "Ready, arrived": "PeerChannels",
        },
        "SendUnblocked": {
            "OutgoingInit": "nothing: BestTipSend, PoolSend, PoolSend, PoolSend",
            "Ready, dialled": "PeerChannels: BestTipSend, PoolSend, PoolSend, PoolSend",
            "Ready, arrived": "PeerChannels: BestTipSend, PoolSend, PoolSend, PoolSend",
        },
        "TransportListening": {
            "none": "nothing: ListenerReady",
            "OutgoingInit": "nothing: ListenerReady",
            "Ready, dialled": "PeerChannels: ListenerReady",
            "Ready, arrived": "PeerChannels: ListenerReady",
        },
        "TransportListenError": {
            "none": "nothing: ListenerFailed",
            "OutgoingInit": "nothing: ListenerFailed",
            "Ready, dialled": "PeerChannels: ListenerFailed",
            "Ready, arrived": "PeerChannels: ListenerFailed",
        },
        "CheckTimeouts": {
            "none": "nothing: ConnectionOutgoingRandomInit, PeersRotate, ConnectionFeelerInit, PeersDiscoverRandom, PeersChurn",
            "OutgoingInit": "nothing: ConnectionOutgoingRandomInit, PeersRotate, ConnectionFeelerInit, PeersDiscoverRandom, PeersChurn",
            "Ready, dialled": "PeerChannels: ConnectionOutgoingRandomInit, PeersRotate, ConnectionFeelerInit, PeersDiscoverRandom, PeersChurn",
            "Ready, arrived": "PeerChannels: ConnectionOutgoingRandomInit, PeersRotate, ConnectionFeelerInit, PeersDiscoverRandom, PeersChurn",
        },
        "CheckTimeouts, late": {
            "none": "nothing: ConnectionOutgoingRandomInit, PeersRotate, ConnectionFeelerInit, PeersDiscoverRandom, PeersChurn",
            "OutgoingInit": "nothing: ConnectionOutgoingTimeout, ConnectionOutgoingRandomInit, PeersRotate, ConnectionFeelerInit, PeersDiscoverRandom, PeersChurn",
            "Ready, dialled": "PeerChannels: ChannelsPropagationTimeout, ChannelsPropagationTimeout, ChannelsPropagationTimeout, ChannelsPropagationTimeout, ConnectionOutgoingRandomInit, PeersRotate, ConnectionFeelerInit, PeersDiscoverRandom, PeersChurn",
            "Ready, arrived": "PeerChannels: ChannelsPropagationTimeout, ChannelsPropagationTimeout, ChannelsPropagationTimeout, ChannelsPropagationTimeout, ConnectionOutgoingRandomInit, PeersRotate, ConnectionFeelerInit, PeersDiscoverRandom, PeersChurn",
        },
    },
)
