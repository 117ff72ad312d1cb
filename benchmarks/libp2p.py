"""The libp2p stack (TCP, Noise, Yamux) beside py-libp2p, and with the private network's cipher on top.

    python benchmarks/libp2p.py [--json] [--rounds N] [--quick] [--py-libp2p PYTHON]

``PYTHON`` is an interpreter that has py-libp2p (``python3 -m venv X && X/bin/pip install libp2p``); without it
only our own numbers come. Both ends run in one process over loopback, a process for each sample; variants take turns.
Rates are per second of that process's CPU time, without starting up; ratios are medians of the ratios
within each turn. Of connections and streams, py-libp2p runs on the level of its swarm, without identify and without
negotiating streams' protocols, which ours does. Gossip is between two whole nodes of either library: one publishes signed
messages of 1 KB, the other checks the signature, asks its node software and counts; a message that does not come fails the run.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

BULK = 60_000
MESSAGE = 1024
IN_FLIGHT, IN_FLIGHT_OF_THEIRS = 100, 10
"""Gossip messages that were published and have not been received: with more, py-libp2p loses some."""
LOST_AFTER_S = 30.0
MESHES_AFTER_S = 4.0
"""A few heartbeats."""

WORKLOADS = {
    "handshakes": ("connections from dial to end", 1.0, {"ours": 300, "ours + pnet": 300, "py-libp2p": 40}),
    "bulk": ("MB in writes of 60 KB", BULK / 1e6, {"ours": 4000, "ours + pnet": 4000, "py-libp2p": 600}),
    "messages": ("messages of 1 KB", 1.0, {"ours": 60_000, "ours + pnet": 60_000, "py-libp2p": 4000}),
    "gossip": (
        "signed gossip messages of 1 KB, published, received and accepted",
        1.0,
        {"ours": 6000, "ours + pnet": 6000, "py-libp2p": 600},
    ),
}


class Timer:
    """CPU and wall time of the part that counts."""

    cpu = wall = 0.0

    def begin(self) -> None:
        gc.collect()
        self.cpu, self.wall = -time.process_time(), -time.perf_counter()

    def end(self) -> None:
        self.cpu += time.process_time()
        self.wall += time.perf_counter()


TIMER = Timer()


# --- ours


async def ours(workload: str, amount: int, *, is_private: bool) -> None:
    from mina_p2p.address import Ipv4, Libp2pAddress
    from mina_p2p.disconnection.reasons import Reason, ReasonCode
    from mina_p2p.identity import DEVNET_CHAIN_ID
    from mina_p2p_effects.keys import SecretKey
    from mina_p2p_effects.transports.libp2p import Framing, Libp2pEndpoint, StreamProtocol
    from mina_p2p_effects.transports.libp2p.events import Closed, StreamMessage, StreamOpened, Upgraded

    protocol = StreamProtocol("/benchmark/1.0.0", Framing.RAW if workload == "bulk" else Framing.DELIMITED, BULK)
    key = DEVNET_CHAIN_ID.libp2p_network_key if is_private else None
    dialer, listener = (Libp2pEndpoint(SecretKey.deterministic(n), [protocol], network_key=key, host="127.0.0.1") for n in (1, 2))
    news = asyncio.Event()
    seen = {"upgraded": 0, "closed": 0, "bytes": 0, "opened": 0}

    def listen(number: int, event: Any) -> None:
        if isinstance(event, StreamMessage):
            seen["bytes"] += len(event.data)
        elif isinstance(event, Upgraded):
            seen["upgraded"] += 1
        elif isinstance(event, Closed):
            seen["closed"] += 1
        news.set()

    def dialled(number: int, event: Any) -> None:
        seen["opened"] += isinstance(event, StreamOpened)
        listen(number, event)

    async def until(done: Callable[[], bool]) -> None:
        while not done():
            news.clear()
            await news.wait()

    address = await listener.start(listen)
    await dialer.start(dialled)
    assert address is not None
    target = Libp2pAddress(SecretKey.deterministic(2).peer_id, Ipv4.of(127, 0, 0, 1), address.port)
    if workload == "handshakes":
        TIMER.begin()
        for number in range(amount):
            dialer.dial(number, target)
            await until(lambda: seen["upgraded"] == 2)
            dialer.close(number, Reason(ReasonCode.USER_REQUEST))
            await until(lambda: seen["closed"] == 2)
            seen["upgraded"] = seen["closed"] = 0
        TIMER.end()
    else:
        dialer.dial(1, target)
        await until(lambda: seen["upgraded"] == 2)
        dialer.open_stream(1, 1, (protocol.name,))
        await until(lambda: seen["opened"] == 1)
        content = bytes(BULK if workload == "bulk" else MESSAGE)
        per_turn = 16 if workload == "bulk" else 512
        TIMER.begin()
        sent = 0
        while sent < amount:
            for _ in range(min(per_turn, amount - sent)):
                dialer.send(1, 1, content)
            sent += min(per_turn, amount - sent)
            aim = (sent - 2 * per_turn) * len(content)
            await until(lambda aim=aim: seen["bytes"] >= aim)
        await until(lambda: seen["bytes"] == amount * len(content))
        TIMER.end()
    await dialer.stop()
    await listener.stop()


def payload(number: int) -> bytes:
    """A gossip message: all of them differ."""
    return number.to_bytes(8, "big") + bytes(MESSAGE - 8)


async def ours_gossiping(amount: int, *, is_private: bool) -> None:
    from mina_p2p.gossipsub.actions import NetworkPubsubPublish, NetworkPubsubVerdict, Verdict
    from mina_p2p.identity import DEVNET_CHAIN_ID, ChainId
    from mina_p2p.libp2p.config import TOPIC_V0, NetworkConfig
    from mina_p2p.libp2p.notifications import NetworkPubsubMessageReceived
    from mina_p2p.relay.config import RelayConfig
    from mina_p2p_effects.keys import SecretKey
    from mina_p2p_effects.node import Node, NodeConfig

    if not is_private:
        # Nodes are always private: without the cipher, they are something that only this comparison needs.
        mock.patch.object(ChainId, "libp2p_network_key", None).start()

    def node(number: int) -> Node:
        key = SecretKey.deterministic(number)
        return Node(
            NodeConfig(
                secret_key=key,
                chain_id=DEVNET_CHAIN_ID,
                seed=number,
                quic=None,
                libp2p_listen=("127.0.0.1", 0),
                relay=RelayConfig(push_to_pull=(), pull_to_push=()),
                libp2p=NetworkConfig(key.peer_id, DEVNET_CHAIN_ID, is_discovery_enabled=False, connections_min=0),
            )
        )

    received: set[bytes] = set()
    news = asyncio.Event()

    async def judge(listener: Node) -> None:
        async for told in listener.notifications():
            if isinstance(told, NetworkPubsubMessageReceived):
                received.add(told.data)
                listener.command(NetworkPubsubVerdict(told.verdict_id, Verdict.ACCEPT))
                news.set()

    async with node(1) as publisher, node(2) as listener:
        judging = asyncio.create_task(judge(listener))
        await publisher.connect(next(address for address in listener.addresses if hasattr(address, "peer_id")))
        await asyncio.sleep(MESHES_AFTER_S)
        for one in (publisher, listener):
            assert one.network is not None
            topic = one.network.gossipsub.topic(TOPIC_V0)
            assert topic is not None
            assert topic.mesh
        TIMER.begin()
        for number in range(amount):
            publisher.command(NetworkPubsubPublish(TOPIC_V0, payload(number)))
            while number - len(received) >= IN_FLIGHT:
                news.clear()
                await news.wait()
        while len(received) < amount:
            news.clear()
            await asyncio.wait_for(news.wait(), LOST_AFTER_S)
        TIMER.end()
        judging.cancel()


# --- py-libp2p


async def theirs_gossiping(amount: int) -> None:
    import trio
    from libp2p import new_host
    from libp2p.crypto.ed25519 import create_new_key_pair
    from libp2p.peer.peerinfo import info_from_p2p_addr
    from libp2p.pubsub.gossipsub import GossipSub
    from libp2p.pubsub.pubsub import Pubsub
    from libp2p.tools.anyio_service import background_trio_service
    from multiaddr import Multiaddr

    topic = "benchmark"
    hosts = [new_host(key_pair=create_new_key_pair(), muxer_preference="YAMUX") for _ in range(2)]
    routers = [GossipSub(["/meshsub/1.1.0"], 6, 5, 12, heartbeat_interval=1, spam_protection_enabled=False) for _ in range(2)]
    publisher, listener = pubsubs = [Pubsub(host, router) for host, router in zip(hosts, routers, strict=True)]
    listener.set_topic_validator(topic, lambda _peer, _message: True, False)
    received: set[bytes] = set()
    news = trio.Event()

    async def count(subscription: Any) -> None:
        nonlocal news
        while len(received) < amount:
            received.add((await subscription.get()).data)
            news.set()
            news = trio.Event()

    async with (
        hosts[0].run(listen_addrs=[Multiaddr("/ip4/127.0.0.1/tcp/0")]),
        hosts[1].run(listen_addrs=[Multiaddr("/ip4/127.0.0.1/tcp/0")]),
        background_trio_service(routers[0]),
        background_trio_service(routers[1]),
        background_trio_service(publisher),
        background_trio_service(listener),
        trio.open_nursery() as nursery,
    ):
        await pubsubs[0].wait_until_ready()
        await pubsubs[1].wait_until_ready()
        await publisher.subscribe(topic)
        nursery.start_soon(count, await listener.subscribe(topic))
        await hosts[0].connect(info_from_p2p_addr(hosts[1].get_addrs()[0]))
        await trio.sleep(MESHES_AFTER_S)
        assert all(router.mesh.get(topic) for router in routers)
        TIMER.begin()
        for number in range(amount):
            await publisher.publish(topic, payload(number))
            while number - len(received) >= IN_FLIGHT_OF_THEIRS:
                await news.wait()
        with trio.fail_after(LOST_AFTER_S):
            while len(received) < amount:
                await news.wait()
        TIMER.end()
        nursery.cancel_scope.cancel()


async def theirs(workload: str, amount: int) -> None:
    import trio
    from libp2p import new_swarm
    from libp2p.crypto.ed25519 import create_new_key_pair
    from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key
    from libp2p.peer.id import ID
    from libp2p.security.noise.transport import PROTOCOL_ID, Transport
    from libp2p.tools.anyio_service import background_trio_service
    from multiaddr import Multiaddr

    keys = [create_new_key_pair() for _ in range(2)]
    swarms = [
        new_swarm(
            key_pair=key, sec_opt={PROTOCOL_ID: Transport(key, noise_privkey=create_noise_key().private_key)}, muxer_preference="YAMUX"
        )
        for key in keys
    ]
    dialer, listener = swarms
    size = BULK if workload == "bulk" else MESSAGE
    received = 0
    done = trio.Event()

    async def serve(stream: Any) -> None:
        nonlocal received
        while received < amount * size:
            received += len(await stream.read(size))
        done.set()

    listener.set_stream_handler(serve)
    async with background_trio_service(dialer), background_trio_service(listener):
        await listener.listen(Multiaddr("/ip4/127.0.0.1/tcp/0"))
        address = (
            listener.get_listen_addrs()[0]
            if hasattr(listener, "get_listen_addrs")
            else next(iter(listener.listeners.values())).get_addrs()[0]
        )
        peer_id = ID.from_pubkey(keys[1].public_key)
        dialer.peerstore.add_addrs(peer_id, [address], 10_000)
        if workload == "handshakes":
            TIMER.begin()
            for _ in range(amount):
                await dialer.dial_peer(peer_id)
                await dialer.close_peer(peer_id)
            TIMER.end()
        else:
            await dialer.dial_peer(peer_id)
            stream = await dialer.new_stream(peer_id)
            content = bytes(size)
            TIMER.begin()
            for _ in range(amount):
                await stream.write(content)
            await done.wait()
            TIMER.end()


# --- measuring


def work(variant: str, workload: str, amount: int) -> None:
    """One sample, in this process; prints what it took."""
    if variant == "py-libp2p":
        import logging

        import trio

        logging.disable(logging.CRITICAL)

        if workload == "gossip":
            trio.run(theirs_gossiping, amount)
        else:
            trio.run(theirs, workload, amount)
    elif workload == "gossip":
        asyncio.run(ours_gossiping(amount, is_private=variant == "ours + pnet"))
    else:
        asyncio.run(ours(workload, amount, is_private=variant == "ours + pnet"))
    print(json.dumps({"cpu": TIMER.cpu, "wall": TIMER.wall}))


def sample(variant: str, workload: str, amount: int, python: str) -> dict[str, float]:
    """One sample, in a process of its own."""
    command = [python, "-P", __file__, "--work", variant, workload, str(amount)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    if result.returncode != 0:
        sys.exit(f"{variant}, {workload}: {result.stderr[-2000:]}")
    took: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return took


def measure(workload: str, rounds: int, scale: float, pythons: dict[str, str]) -> dict[str, Any]:
    """All variants of one workload, in turns."""
    unit, factor, amounts = WORKLOADS[workload]
    rates: dict[str, list[float]] = {variant: [] for variant in pythons}
    walls: dict[str, list[float]] = {variant: [] for variant in pythons}
    for turn in range(rounds):
        for variant in list(pythons) if turn % 2 == 0 else list(reversed(pythons)):
            amount = max(10, int(amounts[variant] * scale))
            took = sample(variant, workload, amount, pythons[variant])
            rates[variant].append(amount * factor / took["cpu"])
            walls[variant].append(amount * factor / took["wall"])
    row: dict[str, Any] = {
        "unit": unit,
        "per_cpu_second": {variant: statistics.median(values) for variant, values in rates.items()},
        "per_wall_second": {variant: statistics.median(values) for variant, values in walls.items()},
    }
    if "py-libp2p" in rates:
        row["over_py_libp2p"] = {
            variant: statistics.median(a / b for a, b in zip(values, rates["py-libp2p"], strict=True)) for variant, values in rates.items()
        }
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a fifth of the work, three rounds")
    parser.add_argument("--py-libp2p", metavar="PYTHON", help="an interpreter that has py-libp2p")
    parser.add_argument("--only", choices=tuple(WORKLOADS), action="append")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.work[0], arguments.work[1], int(arguments.work[2]))
        return
    pythons = {"ours": sys.executable, "ours + pnet": sys.executable}
    if arguments.py_libp2p:
        pythons["py-libp2p"] = arguments.py_libp2p
    rounds, scale = (3, 0.2) if arguments.quick else (arguments.rounds, 1.0)
    workloads = {name: measure(name, rounds, scale, pythons) for name in arguments.only or WORKLOADS}
    if arguments.json:
        json.dump({"python": platform.python_version(), "rounds": rounds, "workloads": workloads}, sys.stdout, indent=2)
        print()
        return
    for name, row in workloads.items():
        print(f"{name}: {row['unit']}, per second of CPU (both ends)")
        for variant, rate in row["per_cpu_second"].items():
            ratio = f"   {row['over_py_libp2p'][variant]:7.2f} x py-libp2p" if "over_py_libp2p" in row else ""
            print(f"  {variant:12} {rate:12,.1f}   wall {row['per_wall_second'][variant]:12,.1f}{ratio}")


if __name__ == "__main__":
    main()
