"""A message together with its channel, as logs and tools of the Rust node write it.

On a connection the channel is known and only the message travels.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from mina_p2p.channels.best_tip.messages import BestTipMessage
from mina_p2p.channels.rpc.messages import RpcMessage
from mina_p2p.channels.signaling_discovery.messages import DiscoveryMessage
from mina_p2p.channels.signaling_exchange.messages import ExchangeMessage
from mina_p2p.channels.snark.messages import SnarkMessage
from mina_p2p.channels.snark_job_commitment.messages import SnarkJobCommitmentMessage
from mina_p2p.channels.streaming_rpc.messages import StreamingRpcMessage
from mina_p2p.channels.transaction.messages import TransactionMessage
from mina_p2p.mina.text import Positional, serde
from mina_p2p.record import record


@record
class OnSignalingDiscovery(Positional):
    """Channel 1."""

    message: DiscoveryMessage


@record
class OnSignalingExchange(Positional):
    """Channel 2."""

    message: ExchangeMessage


@record
class OnBestTip(Positional):
    """Channel 3."""

    message: BestTipMessage


@record
class OnTransaction(Positional):
    """Channel 4."""

    message: TransactionMessage


@record
class OnSnark(Positional):
    """Channel 5."""

    message: SnarkMessage


@record
class OnSnarkJobCommitment(Positional):
    """Channel 6."""

    message: SnarkJobCommitmentMessage


@record
class OnRpc(Positional):
    """Channel 7."""

    message: RpcMessage


@record
class OnStreamingRpc(Positional):
    """Channel 8."""

    message: StreamingRpcMessage


ChannelMessage: TypeAlias = Annotated[
    OnSignalingDiscovery | OnSignalingExchange | OnBestTip | OnTransaction | OnSnark | OnSnarkJobCommitment | OnRpc | OnStreamingRpc,
    serde(
        "SignalingDiscovery",
        "SignalingExchange",
        "BestTipPropagation",
        "TransactionPropagation",
        "SnarkPropagation",
        "SnarkJobCommitmentPropagation",
        "Rpc",
        "StreamingRpc",
    ),
]
"""`o1-labs/mina-rust@6fc3f265 p2p/src/channels/mod.rs`"""
