"""QUIC: this project's transport, alone and under whole nodes, beside aioquic's own asyncio layer, UDP, TCP and TLS.

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
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from aioquic.asyncio.client import connect
from aioquic.asyncio.server import serve
from aioquic.quic.configuration import QuicConfiguration
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support.quic_node import CHUNK, MESSAGE, Node

from mina_p2p.channels.rpc.messages import (
    RpcResponse,
    StagedLedgerAuxAndPendingCoinbasesAtBlockRequest,
    StagedLedgerAuxAndPendingCoinbasesAtBlockResponse,
    TransactionRequest,
    TransactionResponse,
)
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.identity import MAINNET_CHAIN_ID
from mina_p2p.mina.raw import RawStagedLedgerAux, RawUserCommand
from mina_p2p.notifications import RpcRequested
from mina_p2p.transport import DisconnectionEffectfulInit
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.node import Node as FullNode
from mina_p2p_effects.node import NodeConfig

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


async def store(kind: str, amount: int) -> None:
    """Whole nodes: the question, the permission and the answer go through both stores and their codecs."""
    async with FullNode(node_config(1)) as asker, FullNode(node_config(2)) as answerer:
        response: Any
        if kind == "bulk":
            response = StagedLedgerAuxAndPendingCoinbasesAtBlockResponse(RawStagedLedgerAux(bytes(amount * len(CHUNK))))
        else:
            response = TransactionResponse(RawUserCommand(MESSAGE))
        software = asyncio.ensure_future(answer_all(answerer, response))
        connection_id = (await asker.connect(answerer.addresses[0])).connection_id
        TIMER.begin()
        if kind == "bulk":
            await asker.request(connection_id, StagedLedgerAuxAndPendingCoinbasesAtBlockRequest(bytes(32)))
        else:
            width = asker.config.limits.rpc_requests_max
            ask = partial(asker.request, connection_id, TransactionRequest(bytes(32)))
            await asyncio.gather(*(repeat(ask, amount // width) for _ in range(width)))
        TIMER.end()
        software.cancel()


def node_config(number: int) -> NodeConfig:
    key = SecretKey.deterministic(number)
    return NodeConfig(
        secret_key=key, chain_id=MAINNET_CHAIN_ID, host="127.0.0.1", port=0, is_discovery_enabled=False, are_private_addresses_allowed=True
    )


async def answer_all(node: FullNode, response: RpcResponse) -> None:
    async for notification in node.notifications():
        if isinstance(notification, RpcRequested):
            node.respond(notification.connection_id, notification.serial, response)


async def tcp(kind: str, amount: int) -> None:
    await over_tcp(kind, amount, None, None)


async def tls(kind: str, amount: int) -> None:
    await over_tcp(kind, amount, TLS_SERVER, TLS_CLIENT)


async def over_tcp(kind: str, amount: int, server_context: ssl.SSLContext | None, client_context: ssl.SSLContext | None) -> None:
    answer = CHUNK if kind == "bulk" else MESSAGE

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wanted = amount if await reader.read(6) else 0
        for _ in range(wanted):
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0, ssl=server_context)
    address = server.sockets[0].getsockname()
    if kind == "handshakes":
        for _ in range(amount):
            _, writer = await asyncio.open_connection(*address, ssl=client_context)
            writer.close()
            await writer.wait_closed()
        server.close()
        return
    reader, writer = await asyncio.open_connection(*address, ssl=client_context)
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


def tls_contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS 1.3 with the certificate that stock aioquic has, and a client that asks for no authority."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "both.pem"
        plain = serialization.NoEncryption()
        file.write_bytes(
            CERTIFICATE_KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
            + CERTIFICATE.public_bytes(serialization.Encoding.PEM)
        )
        server.load_cert_chain(file)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    return server, client


TLS_SERVER, TLS_CLIENT = tls_contexts()


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
    "bulk": (
        "MB/s",
        len(CHUNK) / 1e6,
        {"ours": ours, "ours, with stores": store, "stock aioquic": stock, "UDP 1200 B": udp, "TCP": tcp, "TCP with TLS": tls},
    ),
    "messages": (
        "1 KB messages/s, one stream",
        1,
        {"ours": ours, "stock aioquic": stock, "UDP 1 KB": udp, "TCP": tcp, "TCP with TLS": tls},
    ),
    "requests": ("1 KB answers/s, a stream each", 1, {"ours": ours, "ours, with stores": store, "stock aioquic": stock}),
    "handshakes": ("handshakes/s (ours mutual, others one-sided)", 1, {"ours": ours, "stock aioquic": stock, "TCP with TLS": tls}),
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
    beside_stock = {
        variant: statistics.median(a / b for a, b in zip(rates[variant], rates["stock aioquic"], strict=True)) for variant in variants
    }
    return {
        "unit": unit,
        "over_stock": beside_stock,
        "cpu_ms_per_unit": {variant: 1000 / statistics.median(values) for variant, values in rates.items()},
        "per_cpu_second": {variant: statistics.median(values) for variant, values in rates.items()},
        "per_wall_second": {variant: statistics.median(values) for variant, values in walls.items()},
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
            wall, cost, ratio = row["per_wall_second"][variant], row["cpu_ms_per_unit"][variant], row["over_stock"][variant]
            print(f"  {variant:18} {rate:12,.1f}   wall {wall:12,.1f}   CPU {cost:9.4f} ms each   {ratio:7.2f} x stock aioquic")
    if "idle_connection_bytes" in result:
        memory = result["idle_connection_bytes"]
        print(f"memory of an idle connection, both ends: ours {memory['ours'] / 1e3:.0f} kB, stock {memory['stock'] / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
