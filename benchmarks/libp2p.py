"""The libp2p stack (TCP, Noise, Yamux) beside py-libp2p, and with the private network's cipher on top.

    python benchmarks/libp2p.py [--json] [--rounds N] [--quick] [--py-libp2p PYTHON]

``PYTHON`` is an interpreter that has py-libp2p (``python3 -m venv X && X/bin/pip install libp2p``); without it
only our own numbers come. Both ends run in one process over loopback, a process for each sample; variants take turns.
Rates are per second of that process's CPU time, without starting up; ratios are medians of the ratios
within each turn. py-libp2p runs on the level of its swarm, without identify and without negotiating
streams' protocols, which ours does.
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

BULK = 60_000
MESSAGE = 1024

WORKLOADS = {
    "handshakes": ("connections from dial to end", 1.0, {"ours": 300, "ours + pnet": 300, "py-libp2p": 40}),
    "bulk": ("MB in writes of 60 KB", BULK / 1e6, {"ours": 4000, "ours + pnet": 4000, "py-libp2p": 600}),
    "messages": ("messages of 1 KB", 1.0, {"ours": 60_000, "ours + pnet": 60_000, "py-libp2p": 4000}),
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


# --- py-libp2p


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

        trio.run(theirs, workload, amount)
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
