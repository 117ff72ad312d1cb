"""The pull channels' messages, byte for byte (spec: pull-protocol 12.4 and 12.5)."""

from __future__ import annotations

from typing import Any

import pytest

from mina_p2p.address import Ipv4, Libp2pAddress, QuicAddress, SignalingRelay, WebRtcAddress, parse_address
from mina_p2p.channels.best_tip.messages import BEST_TIP_MESSAGE, BestTipGetNext, BestTipItem
from mina_p2p.channels.rpc.messages import (
    RPC_MESSAGE,
    BestTipWithProofRequest,
    InitialPeersRequest,
    InitialPeersResponse,
    LedgerQueryRequest,
    LedgerQueryResponse,
    RpcRequestMessage,
    RpcResponseMessage,
)
from mina_p2p.channels.signaling_discovery.messages import (
    DISCOVERY_MESSAGE,
    DiscoveryAnswer,
    DiscoveryDiscover,
    DiscoveryDiscovered,
    DiscoveryDiscoveredReject,
    DiscoveryGetNext,
)
from mina_p2p.channels.signaling_exchange.messages import EXCHANGE_MESSAGE, ExchangeAnswer, ExchangeGetNext, ExchangeOfferToYou
from mina_p2p.channels.snark.messages import SNARK_MESSAGE, SnarkInfo, SnarkItem
from mina_p2p.channels.snark_job_commitment.messages import SNARK_JOB_COMMITMENT_MESSAGE, SnarkJobCommitment, SnarkJobCommitmentItem
from mina_p2p.channels.streaming_rpc.messages import (
    STREAMING_RPC_MESSAGE,
    StagedLedgerPartScanStateBase,
    StagedLedgerPartsRequest,
    StagedLedgerPartsResponse,
    StreamingRpcNext,
    StreamingRpcRequestMessage,
    StreamingRpcResponseMessage,
)
from mina_p2p.channels.transaction.messages import (
    TRANSACTION_MESSAGE,
    TransactionGetNext,
    TransactionInfo,
    TransactionItem,
    TransactionWillSend,
)
from mina_p2p.identity import PeerId
from mina_p2p.mina.basics import CompressedPublicKey, SnarkJobId
from mina_p2p.mina.ledger_query import MerkleAddress, NumAccounts, WhatContents
from mina_p2p.mina.raw import RawBlock, RawLedgerAnswer
from mina_p2p.wire import DecodeError, EncodeError, codec, encode_frame
from mina_p2p.wire.dial_options import WireDialAddress

PEER_0 = PeerId(bytes.fromhex("4cb5abf6ad79fbf5abbccafcc269d85cd2651ed4b885b5869f241aedf0a5ba29"))
PEER_1 = PeerId(bytes.fromhex("7422b9887598068e32c4448a949adb290d0f4e35b9e01b0ee5f1a1e600fe2674"))
WIRE_PEER_0 = "fcf5fb79adf6abb54cfc5cd869c2fccabcabfc86b585b8d41e65d2fc29baa5f0ed1a249f"
WIRE_PEER_1 = "fc8e06987588b92274fc29db9a948a44c432fc0e1be0b9354e0f0dfc7426fe00e6a1f1e5"
JOB = SnarkJobId(*(bytes([i]) * 32 for i in (1, 2, 3, 4)))
SNARKER = CompressedPublicKey(b"\x05" * 32, is_odd=False)
CIPHERTEXT = bytes.fromhex("000102030405060708090a0b2f079dfa0ae9a7d0eeae092b1c9905f99d9e5850770e6580032026e8dffb91")

FRAMES: list[tuple[Any, Any, str]] = [
    (DISCOVERY_MESSAGE, DiscoveryGetNext(), "0000000100"),
    (DISCOVERY_MESSAGE, DiscoveryDiscover(), "0000000101"),
    (DISCOVERY_MESSAGE, DiscoveryDiscovered(PEER_1), "00000021027422b9887598068e32c4448a949adb290d0f4e35b9e01b0ee5f1a1e600fe2674"),
    (DISCOVERY_MESSAGE, DiscoveryDiscoveredReject(), "0000000103"),
    (DISCOVERY_MESSAGE, DiscoveryAnswer(None), "000000020500"),
    (EXCHANGE_MESSAGE, ExchangeGetNext(), "0000000100"),
    (
        EXCHANGE_MESSAGE,
        ExchangeOfferToYou(PEER_0, b"\x00\x7f\x80\xff"),
        "0000002a014cb5abf6ad79fbf5abbccafcc269d85cd2651ed4b885b5869f241aedf0a5ba2904007ffe8000feff00",
    ),
    (
        EXCHANGE_MESSAGE,
        ExchangeAnswer(CIPHERTEXT),
        (
            "0000004e02012b000102030405060708090a0b2f07fe9d00fefa000afee900fea700fed000feee00feae00092b1cfe990005fef900fe9d00fe9e00"
            "5850770e65fe8000032026fee800fedf00fefb00fe9100"
        ),
    ),
    (BEST_TIP_MESSAGE, BestTipGetNext(), "0000000100"),
    (BEST_TIP_MESSAGE, BestTipItem(RawBlock(b"any bytes")), "0000000a01616e79206279746573"),
    (TRANSACTION_MESSAGE, TransactionGetNext(32), "000000020020"),
    (TRANSACTION_MESSAGE, TransactionGetNext(200), "0000000400fec800"),
    (TRANSACTION_MESSAGE, TransactionWillSend(1), "000000020101"),
    (
        TRANSACTION_MESSAGE,
        TransactionItem(TransactionInfo(b"\x11" * 32, CompressedPublicKey(b"\x22" * 32, is_odd=True), 1_000_000, 40_000)),
        f"0000004c02{'11' * 32}{'22' * 32}01fd40420f00fd409c0000",
    ),
    (
        SNARK_MESSAGE,
        SnarkItem(SnarkInfo(JOB, 40_000, SNARKER)),
        f"000000a702{'01' * 32}{'02' * 32}{'03' * 32}{'04' * 32}fd409c0000{'05' * 32}00",
    ),
    (
        SNARK_JOB_COMMITMENT_MESSAGE,
        SnarkJobCommitmentItem(SnarkJobCommitment(1_700_000_000_000, JOB, 40_000, SNARKER)),
        f"000000b002fc0068e5cf8b010000{'01' * 32}{'02' * 32}{'03' * 32}{'04' * 32}fd409c0000{'05' * 32}00",
    ),
    (RPC_MESSAGE, RpcRequestMessage(0, BestTipWithProofRequest()), "00000003000000"),
    (RPC_MESSAGE, RpcRequestMessage(1, LedgerQueryRequest(b"\xaa" * 32, NumAccounts())), f"00000024000101{'aa' * 32}02"),
    (
        RPC_MESSAGE,
        RpcRequestMessage(2, LedgerQueryRequest(b"\xaa" * 32, WhatContents(MerkleAddress(29, b"\x01\x02\x03\x08")))),
        f"0000002a000201{'aa' * 32}011d0401020308",
    ),
    (RPC_MESSAGE, RpcRequestMessage(300, InitialPeersRequest()), "0000000500fe2c0106"),
    (RPC_MESSAGE, RpcResponseMessage(300, None), "0000000501fe2c0100"),
    (RPC_MESSAGE, RpcResponseMessage(300, InitialPeersResponse(())), "0000000701fe2c01010600"),
    (
        RPC_MESSAGE,
        RpcResponseMessage(1, LedgerQueryResponse(RawLedgerAnswer(bytes.fromhex("02fd400d0300" + "bb" * 32)))),
        f"0000002a0101010102fd400d0300{'bb' * 32}",
    ),
    (STREAMING_RPC_MESSAGE, StreamingRpcNext(3), "000000020003"),
    (STREAMING_RPC_MESSAGE, StreamingRpcRequestMessage(3, StagedLedgerPartsRequest(b"\xcc" * 32)), f"00000023010300{'cc' * 32}"),
    (STREAMING_RPC_MESSAGE, StreamingRpcResponseMessage(3, None), "00000003020300"),
    (
        STREAMING_RPC_MESSAGE,
        StreamingRpcResponseMessage(3, StagedLedgerPartsResponse(StagedLedgerPartScanStateBase(200, b"\x07"))),
        "00000009020301 00 01 fec800 07".replace(" ", ""),
    ),
]


@pytest.mark.parametrize(("messages", "message", "frame"), FRAMES)
def test_message_has_the_bytes_of_the_network(messages: Any, message: Any, frame: str) -> None:
    """Each message of the tables is written as exactly these bytes and read back from them."""
    assert encode_frame(messages.encode(message)).hex() == frame
    assert messages.decode(bytes.fromhex(frame)[4:]) == message


ADDRESSES = [
    (parse_address(f"/{PEER_1}/https/example.com/443"), f"00{WIRE_PEER_1}01000b6578616d706c652e636f6dfebb01"),
    (Libp2pAddress(PEER_1, Ipv4.of(192, 168, 1, 1), 8302), f"01{WIRE_PEER_1}01fec000fea8000101fe6e20"),
    (WebRtcAddress(PEER_1, SignalingRelay(PEER_0)), f"00{WIRE_PEER_1}03{WIRE_PEER_0}"),
    (QuicAddress(PEER_1, Ipv4.of(192, 168, 1, 1), 8302), f"02{WIRE_PEER_1}01fec000fea8000101fe6e20"),
]


@pytest.mark.parametrize(("address", "wire"), ADDRESSES)
def test_dial_address_has_the_bytes_of_the_network(address: Any, wire: str) -> None:
    """Dial addresses, the QUIC form included, are written as these bytes and read back."""
    addresses = codec(WireDialAddress)
    assert addresses.encode(address).hex() == wire
    assert addresses.decode(bytes.fromhex(wire)) == address


def test_initial_peers_answer_carries_addresses() -> None:
    """The list of an initial-peers answer holds dial addresses."""
    message = RpcResponseMessage(7, InitialPeersResponse(tuple(address for address, _ in ADDRESSES)))
    assert RPC_MESSAGE.decode(RPC_MESSAGE.encode(message)) == message


REFUSED = [
    (TRANSACTION_MESSAGE, "", "", 0, "ends"),
    (TRANSACTION_MESSAGE, "03", "", 0, "tag below 3"),
    (TRANSACTION_MESSAGE, "002000", "", 2, "behind the end"),
    (TRANSACTION_MESSAGE, "00fe2000", "<TransactionGetNext>.limit", 1, "shortest"),
    (TRANSACTION_MESSAGE, "00fe0001", "<TransactionGetNext>.limit", 1, "not between 0 and 255"),
    (TRANSACTION_MESSAGE, "00ffff", "<TransactionGetNext>.limit", 1, "not between 0 and 255"),
    (TRANSACTION_MESSAGE, "0080", "<TransactionGetNext>.limit", 1, "starts with byte 0x80"),
    (TRANSACTION_MESSAGE, f"02{'11' * 32}{'22' * 31}", "<TransactionItem>.transaction.fee_payer.x", 33, "ends"),
    (TRANSACTION_MESSAGE, f"02{'11' * 32}{'22' * 32}02", "<TransactionItem>.transaction.fee_payer.is_odd", 65, "0 or 1"),
    (TRANSACTION_MESSAGE, f"02{'11' * 32}{'22' * 32}01fd4042", "<TransactionItem>.transaction.fee", 66, "ends"),
    (RPC_MESSAGE, "000007", "<RpcRequestMessage>.request", 2, "tag below 7"),
    (RPC_MESSAGE, "010002", "<RpcResponseMessage>.response", 2, "0 or 1"),
    (
        RPC_MESSAGE,
        f"000001{'aa' * 32}011dfcffffffffffffff7f",
        "<RpcRequestMessage>.request<LedgerQueryRequest>.query<WhatContents>.address.path",
        37,
        "at most",
    ),
    (
        RPC_MESSAGE,
        f"000001{'aa' * 32}011d05010203",
        "<RpcRequestMessage>.request<LedgerQueryRequest>.query<WhatContents>.address.path",
        37,
        "left",
    ),
    (RPC_MESSAGE, "01000106fd00000100", "<RpcResponseMessage>.response<InitialPeersResponse>.peers", 4, "left"),
    (
        RPC_MESSAGE,
        f"01000106 01 03 {WIRE_PEER_1} 00".replace(" ", ""),
        "<RpcResponseMessage>.response<InitialPeersResponse>.peers[0]",
        5,
        "tag 3",
    ),
    (EXCHANGE_MESSAGE, "020103fe8000", "<ExchangeAnswer>.answer", 2, "ends"),
    (EXCHANGE_MESSAGE, "020101fe0001", "<ExchangeAnswer>.answer", 2, "not a byte"),
    (EXCHANGE_MESSAGE, "0201fd00000100", "<ExchangeAnswer>.answer", 2, "at most"),
]


@pytest.mark.parametrize(("messages", "wire", "path", "offset", "reason"), REFUSED)
def test_malformed_message_is_refused_with_its_place(messages: Any, wire: str, path: str, offset: int, reason: str) -> None:
    """A message that is wrong anywhere raises `DecodeError` with the field, the offset and what is wrong."""
    with pytest.raises(DecodeError, match=reason) as caught:
        messages.decode(bytes.fromhex(wire))
    assert (caught.value.path, caught.value.offset) == (path, offset)


NOT_WRITTEN = [
    (TRANSACTION_MESSAGE, TransactionGetNext(256), "<TransactionGetNext>.limit"),
    (TRANSACTION_MESSAGE, TransactionGetNext(-1), "<TransactionGetNext>.limit"),
    (TRANSACTION_MESSAGE, BestTipGetNext(), ""),
    (
        TRANSACTION_MESSAGE,
        TransactionItem(TransactionInfo(b"short", CompressedPublicKey(b"\x22" * 32, is_odd=True), 0, 0)),
        "<TransactionItem>.transaction.hash",
    ),
    (
        TRANSACTION_MESSAGE,
        TransactionItem(TransactionInfo(b"\x11" * 32, CompressedPublicKey(b"\x22" * 32, is_odd=True), 2**64, 0)),
        "<TransactionItem>.transaction.fee",
    ),
    (EXCHANGE_MESSAGE, ExchangeAnswer(bytes(16_385)), "<ExchangeAnswer>.answer"),
]


@pytest.mark.parametrize(("messages", "message", "path"), NOT_WRITTEN)
def test_value_out_of_range_is_not_written(messages: Any, message: Any, path: str) -> None:
    """What the receiver would refuse is refused before it is sent, with the field."""
    with pytest.raises(EncodeError) as caught:
        messages.encode(message)
    assert caught.value.path == path
