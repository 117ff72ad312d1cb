"""QUIC: this project's transport beside aioquic's own asyncio layer, UDP and TCP.

    python benchmarks/quic.py [--json] [--rounds N] [--quick] [--loop asyncio|uvloop]

Both ends run in one process, on one core, over loopback. Variants of one workload take
turns; rates are per second of this process's CPU time, because a shared machine makes
wall time a matter of luck; ratios are medians of the ratios within each turn.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import gc
import json
import os
import platform
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

from aioquic.asyncio.client import connect
from aioquic.asyncio.server import serve
from aioquic.quic.configuration import QuicConfiguration
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from mina_p2p.address import QuicAddress, parse_ip
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.identity import MAINNET_CHAIN_ID
from mina_p2p.ids import ChannelId, ConnectionId, StreamId
from mina_p2p.transport import (
    ChannelsEffectfulAnswerSend,
    ChannelsEffectfulRequestSend,
    ChannelsMessageReceived,
    ChannelsSendBlocked,
    ChannelsSendUnblocked,
    ChannelsStreamEnded,
    ConnectionClosed,
    ConnectionEffectfulAccept,
    ConnectionEffectfulDial,
    ConnectionEffectfulHelloSend,
    ConnectionEffectfulOpen,
    ConnectionEstablished,
    ConnectionHelloReceived,
    ConnectionIncomingReceived,
    DisconnectionEffectfulInit,
    SocketAddress,
    TransportEvent,
    TransportKind,
)
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.transports.quic import QuicConfig, QuicTransport

MESSAGE = bytes(1024)
CHUNK = bytes(64 * 1024)
CONFIG = QuicConfig(handshakes_pending_per_group_max=512, handshakes_pending_max=512, retry_above=512, connections_max=4096, dials_max=512)


class Node:
    """The smallest program over the transport: hellos, and answers of a given size."""

    def __init__(self, number: int) -> None:
        self.key = SecretKey.deterministic(number)
        self.transport = QuicTransport(self.key, MAINNET_CHAIN_ID, "127.0.0.1", 0, CONFIG)
        self.address = SocketAddress("", 0)
        self.next_id = 1
        self.ready: dict[ConnectionId, asyncio.Event] = {}
        self.next_stream: dict[ConnectionId, int] = {}
        self.on_stream: dict[tuple[ConnectionId, StreamId], Callable[[], None]] = {}
        self.frames = 0
        self.answer: tuple[bytes, int] = (MESSAGE, 1)
        self.owed: list[tuple[ConnectionId, StreamId, int]] = []
        self.is_blocked = False
        self.closed = 0
        self.on_closed: asyncio.Event = asyncio.Event()

    async def start(self) -> None:
        self.address = await self.transport.start(self.feed)

    def feed(self, event: TransportEvent) -> None:
        perform = self.transport.perform
        match event:
            case ChannelsMessageReceived(connection_id=connection_id, stream=stream):
                self.frames += 1
                if (connection_id, stream) not in self.on_stream:
                    self.owed.append((connection_id, stream, self.answer[1]))
                    self.pay()
            case ChannelsStreamEnded(connection_id=connection_id, stream=stream):
                self.on_stream.pop((connection_id, stream))()
            case ChannelsSendBlocked():
                self.is_blocked = True
            case ChannelsSendUnblocked():
                self.is_blocked = False
                self.pay()
            case ConnectionIncomingReceived(handle=handle):
                perform(ConnectionEffectfulAccept(TransportKind.QUIC, handle, self.new_id()))
            case ConnectionEstablished(connection_id=connection_id):
                perform(ConnectionEffectfulHelloSend(connection_id, b"hello"))
            case ConnectionHelloReceived(connection_id=connection_id):
                if connection_id in self.ready:
                    self.ready[connection_id].set()
                else:
                    perform(ConnectionEffectfulHelloSend(connection_id, b"hello"))
                perform(ConnectionEffectfulOpen(connection_id, 64))
            case ConnectionClosed():
                self.closed += 1
                self.on_closed.set()
            case _:
                pass

    def pay(self) -> None:
        """Answer in pieces, as far as back-pressure lets us."""
        frame = self.answer[0]
        step = max(1, len(CHUNK) // (len(frame) + 4))
        while self.owed and not self.is_blocked:
            connection_id, stream, count = self.owed.pop(0)
            now = min(count, step)
            self.transport.perform(ChannelsEffectfulAnswerSend(connection_id, stream, (frame,) * now, ends=now == count))
            if now < count:
                self.owed.insert(0, (connection_id, stream, count - now))

    def new_id(self) -> ConnectionId:
        self.next_id += 1
        return ConnectionId(self.next_id)

    async def dial(self, other: Node) -> ConnectionId:
        connection_id = self.new_id()
        is_ready = self.ready[connection_id] = asyncio.Event()
        self.next_stream[connection_id] = 4
        address = QuicAddress(other.key.peer_id, parse_ip(other.address.host), other.address.port)
        self.transport.perform(ConnectionEffectfulDial(connection_id, address))
        await asyncio.wait_for(is_ready.wait(), 20)
        return connection_id

    def ask(self, connection_id: ConnectionId, size: int, frame_max: int, done: Callable[[], None]) -> None:
        stream = StreamId(self.next_stream[connection_id])
        self.next_stream[connection_id] += 4
        self.on_stream[connection_id, stream] = done
        self.transport.perform(ChannelsEffectfulRequestSend(connection_id, ChannelId.RPC, stream, b"please", size, frame_max))

    async def fetch(self, connection_id: ConnectionId, size: int, frame_max: int) -> None:
        done = asyncio.Event()
        self.ask(connection_id, size, frame_max, done.set)
        await done.wait()


# --- the variants: each returns how much it did


async def ours(kind: str, amount: int) -> None:
    async with AsyncExitStack() as stack:
        nodes = [Node(1), Node(2)]
        for node in nodes:
            await node.start()
            stack.push_async_callback(node.transport.stop)
        dialer, listener = nodes
        if kind == "handshakes":
            for _ in range(amount):
                connection_id = await dialer.dial(listener)
                listener.on_closed.clear()
                dialer.transport.perform(DisconnectionEffectfulInit(connection_id, Reason(ReasonCode.USER_REQUEST)))
                await listener.on_closed.wait()
            return
        connection_id = await dialer.dial(listener)
        TIMER.begin()
        if kind == "bulk":
            listener.answer = (CHUNK, amount)
            await dialer.fetch(connection_id, amount * (len(CHUNK) + 4), len(CHUNK))
        elif kind == "messages":
            listener.answer = (MESSAGE, amount)
            await dialer.fetch(connection_id, amount * (len(MESSAGE) + 4), len(MESSAGE))
        else:
            await in_parallel(amount, lambda done: dialer.ask(connection_id, 1028, 1024, done))
        TIMER.end()


async def in_parallel(amount: int, begin: Callable[[Callable[[], None]], None], width: int = 8) -> None:
    """``amount`` exchanges, ``width`` at a time."""
    left, running = amount, 0
    finished = asyncio.Event()

    def step() -> None:
        nonlocal left, running
        running -= 1
        if left:
            left, running = left - 1, running + 1
            begin(step)
        elif not running:
            finished.set()

    for _ in range(min(width, amount)):
        left, running = left - 1, running + 1
        begin(step)
    await finished.wait()


async def stock(kind: str, amount: int) -> None:
    answer = CHUNK if kind == "bulk" else MESSAGE
    count = amount if kind in {"bulk", "messages"} else 1

    async def answer_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        for _ in range(count):
            writer.write(answer)
        writer.write_eof()

    def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.ensure_future(answer_stream(reader, writer)))

    tasks: list[Any] = []
    server_configuration = QuicConfiguration(
        is_client=False, alpn_protocols=["bench"], certificate=CERTIFICATE, private_key=CERTIFICATE_KEY
    )
    client_configuration = QuicConfiguration(is_client=True, alpn_protocols=["bench"], verify_mode=ssl.CERT_NONE)
    server = await serve("127.0.0.1", 0, configuration=server_configuration, stream_handler=handler)
    port = server._transport.get_extra_info("sockname")[1]
    try:
        if kind == "handshakes":
            for _ in range(amount):
                async with connect("127.0.0.1", port, configuration=client_configuration) as client:
                    client.close()
            return
        async with connect("127.0.0.1", port, configuration=client_configuration) as client:

            async def fetch() -> None:
                reader, writer = await client.create_stream()
                writer.write(b"please")
                writer.write_eof()
                while await reader.read(1 << 20):
                    pass

            TIMER.begin()
            if kind in {"bulk", "messages"}:
                await fetch()
            else:
                width = 8
                await asyncio.gather(*(repeat(fetch, amount // width) for _ in range(width)))
            TIMER.end()
    finally:
        server.close()


async def repeat(action: Callable[[], Awaitable[None]], times: int) -> None:
    for _ in range(times):
        await action()


async def udp(kind: str, amount: int) -> None:
    """Datagrams of 1200 bytes from one socket to another, in bursts that the buffers hold."""
    size = 1200 if kind == "bulk" else len(MESSAGE)
    total = amount * len(CHUNK) // 1200 if kind == "bulk" else amount
    loop = asyncio.get_running_loop()

    class Receiver(asyncio.DatagramProtocol):
        received = 0
        wanted = 0
        reached = asyncio.Event()

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.received += 1
            if self.received == self.wanted:
                self.reached.set()

    receiver = Receiver()
    incoming, _ = await loop.create_datagram_endpoint(lambda: receiver, local_addr=("127.0.0.1", 0))
    outgoing, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=incoming.get_extra_info("sockname"))
    payload = bytes(size)
    TIMER.begin()
    sent = 0
    while sent < total:
        burst = min(32, total - sent)
        receiver.wanted = sent + burst
        receiver.reached.clear()
        for _ in range(burst):
            outgoing.sendto(payload)
        sent += burst
        await receiver.reached.wait()
    TIMER.end()
    incoming.close()
    outgoing.close()


async def tcp(kind: str, amount: int) -> None:
    answer = CHUNK if kind == "bulk" else MESSAGE

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(6)
        for _ in range(amount):
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    TIMER.begin()
    writer.write(b"please")
    while await reader.read(1 << 20):
        pass
    TIMER.end()
    writer.close()
    server.close()


class Timer:
    """CPU and wall time between `begin` and `end`."""

    cpu = wall = 0.0

    def begin(self) -> None:
        self.cpu, self.wall = time.process_time(), time.perf_counter()

    def end(self) -> None:
        self.cpu, self.wall = time.process_time() - self.cpu, time.perf_counter() - self.wall


TIMER = Timer()


def make_plain_certificate() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench")])
    begin = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, begin, begin + dt.timedelta(days=36500))
    return builder.sign(key, hashes.SHA256()), key


CERTIFICATE, CERTIFICATE_KEY = make_plain_certificate()


async def idle_memory(variant: str, count: int) -> float:
    """Resident bytes per idle connection, both ends together."""

    def resident() -> int:
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    async with AsyncExitStack() as stack:
        if variant == "ours":
            nodes = [Node(1), Node(2)]
            for node in nodes:
                await node.start()
                stack.push_async_callback(node.transport.stop)
            await nodes[0].dial(nodes[1])
            before = resident()
            for _ in range(count):
                await nodes[0].dial(nodes[1])
        else:
            server = await serve(
                "127.0.0.1", 0,
                configuration=QuicConfiguration(is_client=False, alpn_protocols=["bench"], certificate=CERTIFICATE, private_key=CERTIFICATE_KEY),
            )  # fmt: skip
            stack.callback(server.close)
            port = server._transport.get_extra_info("sockname")[1]
            configuration = QuicConfiguration(is_client=True, alpn_protocols=["bench"], verify_mode=ssl.CERT_NONE)
            await stack.enter_async_context(connect("127.0.0.1", port, configuration=configuration))
            before = resident()
            for _ in range(count):
                await stack.enter_async_context(connect("127.0.0.1", port, configuration=configuration))
        return (resident() - before) / count


WORKLOADS: dict[str, tuple[str, float, dict[str, Any]]] = {
    "bulk": ("MB/s", len(CHUNK) / 1e6, {"ours": ours, "stock aioquic": stock, "UDP 1200 B": udp, "TCP": tcp}),
    "messages": ("1 KB messages/s, one stream", 1, {"ours": ours, "stock aioquic": stock, "UDP 1 KB": udp, "TCP": tcp}),
    "requests": ("1 KB answers/s, a stream each", 1, {"ours": ours, "stock aioquic": stock}),
    "handshakes": ("handshakes/s (ours mutual, stock one-sided)", 1, {"ours": ours, "stock aioquic": stock}),
}
AMOUNTS = {"bulk": 400, "messages": 16_000, "requests": 2_400, "handshakes": 80}


def run(coroutine: Any, loop_name: str) -> Any:
    if loop_name == "uvloop":
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(coroutine)
    return asyncio.run(coroutine)


def in_own_process(variant: str, count: int) -> float:
    """Memory freed by one variant would be taken by the next: each gets a process."""
    command = [sys.executable, __file__, "--idle-memory-of", variant, "--connections", str(count)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure(name: str, rounds: int, scale: float, loop_name: str) -> dict[str, Any]:
    unit, factor, variants = WORKLOADS[name]
    amount = max(8, int(AMOUNTS[name] * scale))
    rates: dict[str, list[float]] = {variant: [] for variant in variants}
    walls: dict[str, list[float]] = {variant: [] for variant in variants}
    for turn in range(rounds):
        order = list(variants) if turn % 2 == 0 else list(reversed(variants))
        for variant in order:
            gc.collect()
            TIMER.begin()
            run(variants[variant](name, amount), loop_name)
            if name == "handshakes":
                TIMER.end()
            rates[variant].append(amount * factor / TIMER.cpu)
            walls[variant].append(amount * factor / TIMER.wall)
    ratios = {
        variant: statistics.median(a / b for a, b in zip(rates["ours"], rates[variant], strict=True))
        for variant in variants
        if variant != "ours"
    }
    return {
        "unit": unit,
        "per_cpu_second": {variant: statistics.median(values) for variant, values in rates.items()},
        "per_wall_second": {variant: statistics.median(values) for variant, values in walls.items()},
        "ours_over": ratios,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, three rounds")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    parser.add_argument("--only", choices=(*WORKLOADS, "memory"), action="append")
    parser.add_argument("--idle-memory-of", choices=("ours", "stock"), help=argparse.SUPPRESS)
    parser.add_argument("--connections", type=int, default=200, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.idle_memory_of:
        print(run(idle_memory(arguments.idle_memory_of, arguments.connections), "asyncio"))
        return
    rounds, scale = (3, 0.1) if arguments.quick else (arguments.rounds, 1.0)
    chosen = arguments.only or [*WORKLOADS, "memory"]
    result: dict[str, Any] = {
        "python": platform.python_version(),
        "aioquic": version("aioquic"),
        "loop": arguments.loop,
        "rounds": rounds,
        "workloads": {name: measure(name, rounds, scale, arguments.loop) for name in WORKLOADS if name in chosen},
    }
    if "memory" in chosen:
        count = 30 if arguments.quick else 200
        result["idle_connection_bytes"] = {variant: in_own_process(variant, count) for variant in ("ours", "stock")}
    if arguments.json:
        json.dump(result, sys.stdout, indent=2)
        print()
        return
    for name, row in result["workloads"].items():
        print(f"{name}: {row['unit']}, per second of CPU (both ends)")
        for variant, rate in row["per_cpu_second"].items():
            ratio = row["ours_over"].get(variant)
            wall = row["per_wall_second"][variant]
            print(f"  {variant:16} {rate:12,.1f}   wall {wall:12,.1f}" + (f"   ours is {ratio:.2f} x" if ratio else ""))
    if "idle_connection_bytes" in result:
        memory = result["idle_connection_bytes"]
        print(f"memory of an idle connection, both ends: ours {memory['ours'] / 1e3:.0f} kB, stock {memory['stock'] / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
