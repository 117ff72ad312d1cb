"""Invariants of libp2p's part of a node: connections and streams, and the slices that speak on them."""

from __future__ import annotations

from collections.abc import Iterator

from mina_p2p.ids import ConnectionId
from mina_p2p.libp2p.links import Dialling, Linked, Stream
from mina_p2p.libp2p.node_status.state import ASKS_MAX, STATUS_BYTES_MAX
from mina_p2p.libp2p.protocols import NODE_STATUS
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.libp2p_rpc.state import SERVING_MAX, Asking, AskingMenu
from mina_p2p.peer_exchange.messages import ENVELOPE_BYTES_MAX
from mina_p2p.peer_exchange.state import CHECKING_MAX, PeerExchange
from mina_p2p.state import P2pState
from mina_p2p.testing.invariants.basis import differ, over, waits_differ


def network_part_violations(state: P2pState) -> Iterator[str]:
    """What is wrong in the libp2p part of a node, which may have none."""
    network, config = state.network, state.config.libp2p
    if network is None or config is None:
        yield from differ("network", network, config)
        return
    yield from differ("network.config", network.config, config)
    for violation in network_violations(network):
        yield f"network.{violation}"


def network_violations(state: NetworkState) -> Iterator[str]:
    """What is wrong in the state of a libp2p node, between two inputs."""
    yield from _links_violations(state)
    yield from _kademlia_violations(state)
    yield from _gossipsub_violations(state)
    yield from _rpcs_violations(state)
    yield from _statuses_violations(state)
    yield from _exchange_violations(state)
    if not {number for number, _ in state.identify.peers.items()} <= set(state.links.contacts):
        yield "identify.peers: of peers that are gone"


def _links_violations(state: NetworkState) -> Iterator[str]:
    links, config = state.links, state.config
    yield from over("links.dials", len(links.dials), config.dials_max)
    yield from differ("links.numbers", len(links.numbers), len(links.contacts))
    held: dict[ConnectionId, int] = {}
    for number, contact in links.contacts.items():
        at = f"links.contacts[{number}]"
        yield from differ(f"{at} in numbers", links.numbers.get(contact.peer_id), number)
        if not contact.connections:
            yield f"{at}: a contact without a connection"
        for connection_id in contact.connections:
            held[connection_id] = number
    linked = {key: link for key, link in links.table.items() if isinstance(link, Linked)}
    yield from differ("links.contacts", dict(sorted(held.items())), {key: link.peer for key, link in linked.items()})
    dials = [(link.deadline, int(key)) for key, link in links.table.items() if isinstance(link, Dialling)]
    yield from differ("links.dials", len(links.dials), len(dials))
    yield from waits_differ("links.dial_deadlines", links.dial_deadlines, dials)
    waits = dict[int, tuple[ConnectionId, Stream]]()
    for connection_id, link in linked.items():
        at = f"links.table[{connection_id}]"
        yield from differ(f"{at}.peer_id", links.numbers.get(link.peer_id), link.peer)
        waits |= {stream.serial: (connection_id, stream) for stream in link.streams.values() if stream.wait_at}
    yield from differ("links.serials", list(links.serials), sorted(waits))
    yield from waits_differ("links.deadlines", links.deadlines, [(stream.wait_at, serial) for serial, (_, stream) in waits.items()])


def _kademlia_violations(state: NetworkState) -> Iterator[str]:
    kad, config = state.kademlia, state.config.kademlia
    yield from over("kademlia.lookups", len(kad.lookups), config.lookups_max)
    yield from over("kademlia.provider_keys", len(kad.provider_keys), config.provider_keys_max)
    yield from differ("kademlia.deadlines", len(kad.deadlines), len(kad.requests))
    for request_id, request in kad.requests.items():
        if request.lookup_id not in kad.lookups:
            yield f"kademlia.requests[{request_id}]: of a look-up that is over"
    for lookup_id, lookup in kad.lookups.items():
        at = f"kademlia.lookups[{lookup_id}]"
        yield from over(f"{at}.candidates", len(lookup.candidates), config.candidates_max + config.parallel)
        distances = [candidate.distance for candidate in lookup.candidates]
        if distances != sorted(distances):
            yield f"{at}.candidates: not nearest first"
        asked = sorted(request.peer_id for request in kad.requests.values() if request.lookup_id == lookup_id)
        yield from over(f"{at} under way", len(asked), config.parallel)
        yield from differ(f"{at}.candidates asked", sorted(one.peer_id for one in lookup.candidates if one.progress == 1), asked)
    for number, bucket in kad.table.buckets.items():
        at = f"kademlia.table.buckets[{number}]"
        yield from over(at, len(bucket), config.bucket_max)
        if not bucket or not all(entry.addresses for entry in bucket) or len({entry.peer_id for entry in bucket}) != len(bucket):
            yield f"{at}: empty, a peer without an address, or a peer twice"
    if kad.table.get(state.config.peer_id) is not None:
        yield "kademlia.table: holds ourselves"


def _gossipsub_violations(state: NetworkState) -> Iterator[str]:
    gossip, links, config = state.gossipsub, state.links, state.config.gossipsub
    yield from over("gossipsub.validating", len(gossip.validating), config.validations_max)
    sizes = [len(message.encoded) for message in gossip.validating.values()]
    yield from differ("gossipsub.validating_bytes", gossip.validating_bytes, sum(sizes))
    if len(sizes) > 1:
        yield from over("gossipsub.validating_bytes", gossip.validating_bytes, config.validation_bytes_max)
    yield from over("gossipsub.verifying", len(gossip.verifying), config.verifications_max)
    yield from over("gossipsub.signing", len(gossip.signing), config.verifications_max)
    # What waits longer than it may is let go of at the next heartbeat.
    late = gossip.next_heartbeat_at - config.heartbeat
    for name, waiting in (("verifying", gossip.verifying), ("signing", gossip.signing)):
        yield from (f"gossipsub.{name}[{number}]: waits longer than it may" for number, one in waiting.items() if one.deadline <= late)
    yield from over("gossipsub.backoffs", len(gossip.backoffs), config.backoffs_max)
    yield from over("gossipsub.windows", len(gossip.windows), config.history_windows)
    for number, neighbour in gossip.neighbours.items():
        at = f"gossipsub.neighbours[{number}]"
        contact = links.contacts.get(number)
        yield from differ(f"{at}.peer_id", neighbour.peer_id, None if contact is None else contact.peer_id)
        yield from over(f"{at}.topics", len(neighbour.topics), config.topics_per_peer_max)
        if neighbour.stream is not None and links.stream(*neighbour.stream) is None:
            yield f"{at}.stream: a stream that is gone"
    for topic in gossip.topics:
        at = f"gossipsub.topics[{topic.name!a}].mesh"
        yield from differ(at, len(topic.mesh), len(set(topic.mesh)))
        for peer in topic.mesh:
            member = gossip.neighbours.get(peer)
            if member is None or member.stream is None:
                yield f"{at}: {peer} can not be spoken to"
    waits = [(one.deadline, int(verdict_id)) for verdict_id, one in gossip.validating.items()]
    yield from waits_differ("gossipsub.deadlines", gossip.deadlines, waits)
    held = [one for window in gossip.windows for one in window]
    yield from differ("gossipsub.windows", len(held), len(set(held)))
    yield from differ("gossipsub.cache", len(gossip.cache), len(held))
    sizes = [len(cached.encoded) for one in held if (cached := gossip.cache.get(one)) is not None]
    yield from differ("gossipsub.cache_bytes", gossip.cache_bytes, sum(sizes))


def _statuses_violations(state: NetworkState) -> Iterator[str]:
    asks = state.node_status.asks
    yield from over("node_status.asks", len(asks), ASKS_MAX)
    links = [link for link in state.links.table.values() if isinstance(link, Linked)]
    reading = [s.token for link in links for s in link.streams.values() if s.is_ours and s.protocol == NODE_STATUS.name]
    yield from differ("node_status.asks", sorted(asks), sorted(reading))
    for request_id, ask in asks.items():
        yield from over(f"node_status.asks[{request_id}]", ask.size, STATUS_BYTES_MAX)


def _exchange_violations(state: NetworkState) -> Iterator[str]:
    exchange = state.exchange
    if not state.config.gossipsub.is_peer_exchange_enabled:
        yield from differ("exchange, which is off", exchange, PeerExchange())
    yield from over("exchange.checking", len(exchange.checking), CHECKING_MAX)
    deadlines = [claim.deadline for claim in exchange.checking.values()]
    yield from differ("exchange.checking: deadlines, by number", deadlines, sorted(deadlines))
    if not set(exchange.records) <= set(state.links.contacts):
        yield "exchange.records: of peers that are gone"
    held = (exchange.own, *(kept.envelope for kept in exchange.records.values()), *(claim.envelope for claim in exchange.checking.values()))
    yield from over("exchange: an envelope", max(map(len, held)), ENVELOPE_BYTES_MAX)


def _rpcs_violations(state: NetworkState) -> Iterator[str]:
    rpcs, links = state.rpcs, state.links
    yield from differ("rpcs.deadlines", len(rpcs.deadlines), len(rpcs.sessions) + len(rpcs.calls))
    busy = [session.call for session in rpcs.sessions.values() if session.call]
    yield from differ("rpcs.sessions: calls", len(busy), len(set(busy)))
    for serial, session in rpcs.sessions.items():
        at = f"rpcs.sessions[{serial}]"
        stream = links.stream(session.connection_id, session.stream)
        found = None if stream is None else (stream.serial, stream.is_ours)
        yield from differ(f"{at}.stream", found, (serial, session.is_ours))
        yield from over(f"{at}.serving", len(session.serving), SERVING_MAX)
        if session.call and session.call not in rpcs.calls:
            yield f"{at}.call: a question that is over"
        if isinstance(session.status, AskingMenu | Asking) and not session.call:
            yield f"{at}.status: asks for nobody"
    if not {peer for peer, _ in rpcs.menus.items()} <= set(links.contacts):
        yield "rpcs.menus: of peers that are gone"
