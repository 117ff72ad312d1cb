"""Names of types for tools: what ``inspect --type NAME`` and the tests understand.

The names on the left are those of the Rust node's definitions, on which the
network's type dumps and this library's specification agree; modules are imported
when a name is looked up.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from mina_p2p.wire import Codec, codec

_MINA: Final = {
    "MinaBlockBlockStableV2": "block.Block",
    "MinaBlockHeaderStableV2": "block.BlockHeader",
    "StagedLedgerDiffBodyStableV1": "block.BlockBody",
    "StagedLedgerDiffDiffStableV2": "block.StagedLedgerDiff",
    "StagedLedgerDiffDiffDiffStableV2": "block.Diff",
    "StagedLedgerDiffDiffPreDiffWithAtMostTwoCoinbaseStableV2": "block.PreDiffTwo",
    "StagedLedgerDiffDiffPreDiffWithAtMostOneCoinbaseStableV2": "block.PreDiffOne",
    "MinaStateProtocolStateValueStableV2": "protocol_state.ProtocolState",
    "MinaStateProtocolStateBodyValueStableV2": "protocol_state.ProtocolStateBody",
    "MinaStateBlockchainStateValueStableV2": "protocol_state.BlockchainState",
    "MinaStateSnarkedLedgerStateStableV2": "protocol_state.LedgerProofStatement",
    "MinaStateSnarkedLedgerStateWithSokStableV2": "protocol_state.LedgerProofStatementWithSok",
    "ConsensusProofOfStakeDataConsensusStateValueStableV2": "protocol_state.ConsensusState",
    "MinaBaseProtocolConstantsCheckedValueStableV1": "protocol_state.ProtocolConstants",
    "MinaBaseStagedLedgerHashStableV1": "protocol_state.StagedLedgerHash",
    "MinaBaseUserCommandStableV2": "commands.UserCommand",
    "MinaBaseSignedCommandStableV2": "commands.SignedCommand",
    "MinaBaseSignedCommandPayloadStableV2": "commands.SignedCommandPayload",
    "MinaBaseZkappCommandTStableV1WireStableV1": "zkapp.ZkappCommand",
    "MinaBaseAccountUpdateTStableV1": "zkapp.AccountUpdate",
    "MinaBaseAccountUpdateBodyStableV1": "zkapp.AccountUpdateBody",
    "MinaBaseAccountUpdateUpdateStableV1": "zkapp.Update",
    "MinaBaseAccountUpdatePreconditionsStableV1": "zkapp.Preconditions",
    "MinaBaseControlStableV2": "zkapp.Control",
    "MinaTransactionTransactionStableV2": "commands.Transaction",
    "MinaBaseTransactionStatusStableV2": "transaction_status.TransactionStatus",
    "MinaBaseFeeTransferStableV2": "commands.FeeTransfer",
    "MinaBaseCoinbaseStableV1": "commands.Coinbase",
    "MinaBaseVerificationKeyWireStableV1": "proof.VerificationKey",
    "MinaBaseProofStableV2": "proof.Proof",
    "TransactionSnarkProofStableV2": "proof.Proof",
    "PicklesProofProofsVerified2ReprStableV2": "proof.Proof",
    "PicklesProofProofsVerifiedMaxStableV2": "proof.Proof",
    "TransactionSnarkWorkTStableV2": "snark_work.SnarkWork",
    "TransactionSnarkWorkTStableV2Proofs": "snark_work.SnarkProofs",
    "TransactionSnarkWorkStatementStableV2": "snark_work.SnarkWorkStatement",
    "TransactionSnarkStableV2": "snark_work.LedgerProof",
    "LedgerProofProdStableV2": "snark_work.LedgerProof",
    "MinaBaseSokMessageStableV1": "snark_work.SokMessage",
    "MinaBaseFeeWithProverStableV1": "snark_work.FeeWithProver",
    "Snark": "snark_work.Snark",
    "GossipNetMessageV2": "gossip.GossipMessage",
    "NetworkPoolSnarkPoolDiffVersionedStableV2": "gossip.SnarkPoolDiff",
    "NetworkPoolTransactionPoolDiffVersionedStableV2": "gossip.TransactionPoolDiff",
    "ArchiveTransitionFrontierDiff": "gossip.ArchiveDiff",
    "ArchiveRpc": "gossip.ArchiveRpc",
    "StagedLedgerAuxAndPendingCoinbases": "staged_ledger.StagedLedgerAuxAndPendingCoinbases",
    "StagedLedgerPartsResponse": "staged_ledger.StagedLedgerPart",
    "StagedLedgerPartsBase": "staged_ledger.StagedLedgerPartsBase",
    "ScanStateBase": "staged_ledger.ScanStateBase",
    "PreviousIncompleteZkappUpdates": "scan_state.IncompleteZkappUpdates",
    "ScanStateTree": "scan_state.WireScanTree",
    "TransactionSnarkScanStateStableV2": "scan_state.ScanState",
    "TransactionSnarkScanStateTransactionWithWitnessStableV2": "applied.TransactionWithWitness",
    "TransactionSnarkScanStateLedgerProofWithSokMessageStableV2": "scan_state.LedgerProofWithSok",
    "MinaBasePendingCoinbaseStableV2": "pending_coinbase.PendingCoinbase",
    "MinaBaseSparseLedgerBaseStableV2": "sync_ledger.SparseLedger",
    "MinaBaseAccountBinableArgStableV2": "account.Account",
    "MinaBasePermissionsStableV2": "account.Permissions",
    "MinaLedgerSyncLedgerQueryStableV1": "ledger_query.LedgerQuery",
    "MinaLedgerSyncLedgerAnswerStableV2": "sync_ledger.LedgerAnswer",
    "MerkleAddressBinableArgStableV1": "ledger_query.MerkleAddress",
    "QueryHeader": "rpc.QueryHeader",
    "ResponseHeader": "rpc.ResponseHeader",
    "MessageHeader": "rpc.MessageHeader",
    "RpcKernelError": "rpc.RpcKernelError",
    "NetworkPeerPeerStableV1": "rpc.Peer",
    "NodeStatusV2": "rpc.NodeStatus",
    "BestTipWithProof": "rpc.BestTipWithProof",
    "GetAncestryV2Query": "rpc.AncestryQuery",
    "rpc_message": "rpc.RpcMessage",
    "ProtocolVersionStableV2": "basics.ProtocolVersion",
    "StateHash": "basics.StateHash",
    "StateBodyHash": "basics.StateBodyHash",
    "LedgerHash": "basics.LedgerHash",
    "EpochSeed": "basics.EpochSeed",
    "PendingCoinbaseHash": "basics.PendingCoinbaseHash",
    "ReceiptChainHash": "basics.ReceiptChainHash",
    "TokenIdKeyHash": "basics.TokenId",
    "CoinbaseStackData": "basics.CoinbaseStackData",
    "CoinbaseStackHash": "basics.CoinbaseStackHash",
    "StagedLedgerHashAuxHash": "basics.StagedLedgerAuxHash",
    "StagedLedgerHashPendingCoinbaseAux": "basics.PendingCoinbaseAux",
    "TransactionHash": "basics.TransactionHash",
    "Signature": "basics.Signature",
    "NonZeroCurvePoint": "basics.CompressedPublicKey",
    "LedgerHashTransition": "basics.SnarkJobId",
}

_CHANNELS: Final = {
    "SignalingDiscoveryChannelMsg": "signaling_discovery.messages.DiscoveryMessage",
    "SignalingExchangeChannelMsg": "signaling_exchange.messages.ExchangeMessage",
    "BestTipPropagationChannelMsg": "best_tip.messages.BestTipMessage",
    "TransactionPropagationChannelMsg": "transaction.messages.TransactionMessage",
    "SnarkPropagationChannelMsg": "snark.messages.SnarkMessage",
    "SnarkJobCommitmentPropagationChannelMsg": "snark_job_commitment.messages.SnarkJobCommitmentMessage",
    "RpcChannelMsg": "rpc.messages.RpcMessage",
    "P2pRpcRequest": "rpc.messages.RpcRequest",
    "P2pRpcResponse": "rpc.messages.RpcResponse",
    "StreamingRpcChannelMsg": "streaming_rpc.messages.StreamingRpcMessage",
    "TransactionInfo": "transaction.messages.TransactionInfo",
    "SnarkInfo": "snark.messages.SnarkInfo",
    "SnarkJobCommitment": "snark_job_commitment.messages.SnarkJobCommitment",
}

_OTHERS: Final = {
    "ChannelMsg": "mina_p2p.mina.channel_message.ChannelMessage",
    "SignalingMethod": "mina_p2p.wire.dial_options.WireSignaling",
    "ChainId": "mina_p2p.mina.basics.ChainIdBytes",
    "PeerId": "mina_p2p.wire.dial_options.WirePeerId",
    "Host": "mina_p2p.wire.dial_options.WireHost",
    "P2pConnectionOutgoingInitOpts": "mina_p2p.wire.dial_options.WireDialAddress",
}

TYPE_NAMES: Final[dict[str, str]] = {
    **{name: f"mina_p2p.mina.{place}" for name, place in _MINA.items()},
    **{name: f"mina_p2p.channels.{place}" for name, place in _CHANNELS.items()},
    **_OTHERS,
}
"""Where each named type is."""

LIST_OF: Final = "list of "


def annotation_of(name: str) -> Any:
    """The annotation behind a name, or behind ``list of NAME``.

    :raises KeyError: where no type has this name.
    """
    if name.startswith(LIST_OF):
        item: Any = annotation_of(name.removeprefix(LIST_OF))
        return tuple.__class_getitem__((item, ...))
    module, _, attribute = TYPE_NAMES[name].rpartition(".")
    return getattr(import_module(module), attribute)


def codec_of(name: str) -> Codec[Any]:
    """The codec of a named type.

    :raises KeyError: where no type has this name.
    """
    return codec(annotation_of(name))
