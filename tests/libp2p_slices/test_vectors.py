"""Bytes of other implementations, read and written."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from libp2p.pairs import vector

from mina_p2p.address import Ipv4, Libp2pAddress, parse_address, parse_host
from mina_p2p.gossipsub import sending
from mina_p2p.gossipsub.messages import MESSAGE_CODEC, RPC_CODEC, PubsubMessage, PubsubRpc, SubOpts, message_id, publishing, signed_bytes
from mina_p2p.identity import DEVNET_CHAIN_ID, PeerId
from mina_p2p.ids import SECOND
from mina_p2p.kademlia.messages import KAD_CODEC, KadMessage, KadPeer, KadType
from mina_p2p.kademlia.state import position_of, rendezvous_key
from mina_p2p.libp2p.config import TOPIC_V0
from mina_p2p.libp2p.multiaddr import dialable, encode_multiaddr
from mina_p2p.wire.varint import encode_delimited
from mina_p2p_effects.keys import SecretKey, verify

SOMEBODY = "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"


def payload(name: str, field: str = "hex") -> bytes:
    """A vector without its length."""
    data: bytes = vector(name)[field]
    message = data[1:] if data[0] < 0x80 else data[2:]
    assert encode_delimited(message) == data
    return message


@pytest.mark.parametrize(("name", "text"), [("multiaddr_ip4_tcp", "198.51.100.1"), ("multiaddr_dns4_tcp", "google.com")])
def test_multiaddresses(name: str, text: str):
    data, port = vector(name)["hex"], 10 if "ip4" in name else 443
    assert encode_multiaddr(parse_host(text), port) == data
    someone = PeerId.parse(SOMEBODY)
    assert dialable(data, someone) == Libp2pAddress(someone, parse_host(text), port)


def test_a_multiaddress_with_its_peer_id():
    data, someone = vector("multiaddr_ip4_tcp_p2p")["hex"], PeerId.parse(SOMEBODY)
    assert dialable(data, someone) == parse_address(f"/ip4/127.0.0.1/tcp/8302/p2p/{SOMEBODY}")
    assert dialable(data, PeerId(bytes(32))) is None
    assert dialable(vector("multiaddr_ip6_udp_quic_v1")["hex"], someone) is None


@pytest.mark.parametrize("cut", range(8))
def test_a_multiaddress_that_ends_too_early_is_none(cut: int):
    assert dialable(vector("multiaddr_ip4_tcp")["hex"][:cut], PeerId.parse(SOMEBODY)) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x04",
        b"\x36\x05ab",
        b"\x36\x03a b\x06\0\x01",
        b"\x36\x02\xff\xff\x06\0\x01",
        b"\xff" * 12,
        bytes(1000),
        b"\x04\1\2\3\4\6\0\0",
    ],
)
def test_what_is_no_multiaddress_is_none(data: bytes):
    assert dialable(data, PeerId.parse(SOMEBODY)) is None


def test_find_node_as_rust_writes_it():
    """With the cluster level in front of the key."""
    found = vector("kad_find_node_rust")
    message = KAD_CODEC.decode(payload("kad_find_node_rust"))
    assert message == KadMessage(KadType.FIND_NODE, PeerId.parse(found["key_peer"]).multihash, cluster_level=10)
    assert position_of(message.key or b"") == int.from_bytes(found["key_sha256"], "big")


def test_find_node_as_go_writes_it():
    key = PeerId.parse(SOMEBODY).multihash
    assert KAD_CODEC.encode(KadMessage(KadType.FIND_NODE, key)) == payload("kad_find_node_go_order")


def test_the_answer_about_oneself():
    ours = KadPeer(PeerId.parse(SOMEBODY).multihash, (encode_multiaddr(Ipv4.of(127, 0, 0, 1), 8302),), 1)
    assert KAD_CODEC.encode(KadMessage(KadType.FIND_NODE, None, (ours,))) == payload("kad_find_node_response_self")


def test_provider_messages():
    key = rendezvous_key(DEVNET_CHAIN_ID)
    assert KAD_CODEC.encode(KadMessage(KadType.GET_PROVIDERS, key)) == payload("kad_get_providers_devnet")
    message = KAD_CODEC.decode(payload("kad_add_provider_devnet"))
    assert (message.type, message.key) == (KadType.ADD_PROVIDER, key)
    assert [peer.id for peer in message.provider_peers] == [PeerId.parse(SOMEBODY).multihash]
    assert KAD_CODEC.encode(message) == payload("kad_add_provider_devnet")


def test_the_rendezvous_key_is_a_multihash():
    assert rendezvous_key(DEVNET_CHAIN_ID) == b"\x12\x20" + sha256(b"/coda/0.0.1/" + DEVNET_CHAIN_ID.hex().encode()).digest()


def test_a_signed_publication():
    """Id, signed bytes, signature and message are the network's."""
    found: dict[str, Any] = vector("gossipsub_signed_publish")
    key = SecretKey(found["identity_seed"])
    message = PubsubMessage(key.peer_id.multihash, found["data"], found["seqno"], found["topic"])
    assert message_id(found["topic"], found["data"]) == found["message_id"]
    assert signed_bytes(message) == found["signed_bytes"]
    assert key.sign(signed_bytes(message)) == found["signature"]
    assert verify(key.peer_id, signed_bytes(message), found["signature"])
    encoded = MESSAGE_CODEC.encode(message.replace(signature=found["signature"]))
    assert encode_delimited(publishing(encoded)) == found["rpc"]
    assert RPC_CODEC.decode(publishing(encoded)) == PubsubRpc((), (message.replace(signature=found["signature"]),))


def test_a_message_id_is_keyed_with_the_topic():
    found = vector("gossipsub_message_id_hello")
    assert message_id(found["topic"], found["data"]) == found["message_id"]
    assert message_id("other", found["data"]) != found["message_id"]
    assert len(message_id("long" * 40, b"")) == 32


def test_control_messages():
    assert RPC_CODEC.encode(PubsubRpc((SubOpts(True, TOPIC_V0),))) == payload("gossipsub_hello_subscribe")
    assert sending.graft(TOPIC_V0) == payload("gossipsub_graft")
    assert sending.prune(TOPIC_V0, 60 * SECOND) == payload("gossipsub_prune_60s")
