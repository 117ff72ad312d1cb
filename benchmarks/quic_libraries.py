"""QUIC libraries for Python beside each other: one large answer, 1 KB writes, handshakes.

    python benchmarks/quic_libraries.py --only aioquic --only qh3=OTHER/bin/python --only libp2p=THIRD/bin/python

Each library runs in a process of its own, with the interpreter that is named after ``=``, so that libraries which exclude each other can
be compared; both ends are in that process (but see quic_portal), over loopback. Rates are by its CPU time, all threads together. Every answer's length is
checked. ``ours`` is this project's transport. A library that its interpreter does not have is named as not measured.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

CHUNK = bytes(64 * 1024)
MESSAGE = bytes(1024)
AMOUNTS = {"bulk": 320, "messages": 12_000, "handshakes": 60}
"""Writes of 64 KiB, writes of 1 KB, connections."""
FACTORS = {"bulk": len(CHUNK) / 1e6, "messages": 1.0, "handshakes": 1.0}
LAST_RESORT_S = 300

Measured = dict[str, float]


def rate(kind: str, cpu: float) -> float:
    return AMOUNTS[kind] * FACTORS[kind] / cpu


def make_certificate(folder: Path) -> tuple[Path, Path]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    begin = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, begin, begin + dt.timedelta(days=36500))
    certificate, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return certificate, key_file


async def like_aioquic(module: str) -> Measured:
    """aioquic and qh3, which has its interface."""
    layer: Any = import_module(f"{module}.asyncio")
    configuration: Any = import_module(f"{module}.quic.configuration").QuicConfiguration
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = make_certificate(Path(folder))
        serving = configuration(is_client=False, alpn_protocols=["bench"])
        serving.load_cert_chain(certificate, key)
    dialing = configuration(is_client=True, alpn_protocols=["bench"], verify_mode=ssl.CERT_NONE, server_name="localhost")
    tasks: list[Any] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kind = (await reader.read()).decode()
        for _ in range(AMOUNTS[kind]):
            writer.write(CHUNK if kind == "bulk" else MESSAGE)
        writer.write_eof()

    server = await layer.serve(
        "127.0.0.1", 0, configuration=serving, stream_handler=lambda *ends: tasks.append(asyncio.ensure_future(answer(*ends)))
    )
    port = server._transport.get_extra_info("sockname")[1]
    measured: Measured = {}
    for kind in ("bulk", "messages"):
        async with layer.connect("127.0.0.1", port, configuration=dialing) as client:
            reader, writer = await client.create_stream()
            began = time.process_time()
            writer.write(kind.encode())
            writer.write_eof()
            size = 0
            while piece := await reader.read(1 << 20):
                size += len(piece)
            measured[kind] = rate(kind, time.process_time() - began)
            assert size == AMOUNTS[kind] * len(CHUNK if kind == "bulk" else MESSAGE)
    began = time.process_time()
    for _ in range(AMOUNTS["handshakes"]):
        async with layer.connect("127.0.0.1", port, configuration=dialing) as client:
            client.close()
    measured["handshakes"] = rate("handshakes", time.process_time() - began)
    server.close()
    return measured


async def ours() -> Measured:
    from support.quic_node import Node

    from mina_p2p.disconnection.reasons import Reason, ReasonCode
    from mina_p2p.transport import DisconnectionEffectfulInit

    dialer, listener = Node(1), Node(2)
    for node in (dialer, listener):
        await node.start()
    measured: Measured = {}
    connection_id = await dialer.dial(listener)
    for kind, frame in (("bulk", CHUNK), ("messages", MESSAGE)):
        listener.answer = (frame, AMOUNTS[kind])
        frames = dialer.frames
        began = time.process_time()
        await dialer.fetch(connection_id, AMOUNTS[kind] * (len(frame) + 4), len(frame))
        measured[kind] = rate(kind, time.process_time() - began)
        assert dialer.frames - frames == AMOUNTS[kind]
    began = time.process_time()
    for _ in range(AMOUNTS["handshakes"]):
        connection_id = await dialer.dial(listener)
        listener.on_closed.clear()
        dialer.transport.perform(DisconnectionEffectfulInit(connection_id, Reason(ReasonCode.USER_REQUEST)))
        await listener.on_closed.wait()
    measured["handshakes"] = rate("handshakes", time.process_time() - began)
    for node in (dialer, listener):
        await node.transport.stop()
    return measured


def libp2p() -> Measured:
    """py-libp2p's QUIC transport under its host, which is aioquic driven by trio."""
    sys.path = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).resolve().parent]  # where another libp2p.py is
    import trio
    from libp2p import new_host
    from libp2p.crypto.ed25519 import create_new_key_pair
    from libp2p.peer.peerinfo import info_from_p2p_addr
    from multiaddr import Multiaddr

    protocol: Any = "/bench/1"
    measured: Measured = {}

    async def answer(stream: Any) -> None:
        kind = (await stream.read(64)).decode()
        for _ in range(AMOUNTS[kind]):
            await stream.write(CHUNK if kind == "bulk" else MESSAGE)
        await stream.close()

    async def run() -> None:
        address = Multiaddr("/ip4/127.0.0.1/udp/0/quic-v1")
        listener = new_host(key_pair=create_new_key_pair(), enable_quic=True, listen_addrs=[address])
        listener.set_stream_handler(protocol, answer)
        async with listener.run(listen_addrs=[address]):
            there = info_from_p2p_addr(Multiaddr(f"{str(listener.get_addrs()[0]).split('/p2p/')[0]}/p2p/{listener.get_id()}"))

            async def dial(then: Callable[[Any], Awaitable[None]]) -> None:
                host = new_host(key_pair=create_new_key_pair(), enable_quic=True)
                async with host.run(listen_addrs=[]):
                    await host.connect(there)
                    await then(host)

            async def fetch(host: Any) -> None:
                for kind, frame in (("bulk", CHUNK), ("messages", MESSAGE)):
                    stream = await host.new_stream(there.peer_id, [protocol])
                    began = time.process_time()
                    await stream.write(kind.encode())
                    size = 0
                    while size < AMOUNTS[kind] * len(frame):
                        size += len(await stream.read(1 << 20))
                    measured[kind] = rate(kind, time.process_time() - began)

            async def nothing(_: Any) -> None: ...

            await dial(fetch)
            count = 10  # each is a whole host
            began = time.process_time()
            for _ in range(count):
                await dial(nothing)
            measured["handshakes"] = count / (time.process_time() - began)

    trio.run(run)
    return measured


def quic_portal() -> Measured:
    """Rust's quinn behind a blocking interface of messages: one stream, no application protocol, no certificates of one's own.

    Two processes, because its calls keep the interpreter's lock; the CPU time is that of both.
    """
    from quic_portal import Portal, QuicTransportOptions

    port = 40_000 + time.time_ns() % 10_000
    with subprocess.Popen([sys.executable, __file__, "--portal", str(port)], stdout=subprocess.PIPE, text=True) as listener:
        assert listener.stdout is not None
        listener.stdout.readline()
        time.sleep(0.5)  # it has no way to say that it listens
        dialer = Portal()
        dialer.connect("127.0.0.1", port, port + 1, QuicTransportOptions())
        dialer.send(b"please")  # the other side sees a stream from its first byte on
        measured: Measured = {}
        for kind, frame in (("bulk", CHUNK), ("messages", MESSAGE)):
            began = time.process_time()
            for _ in range(AMOUNTS[kind]):
                assert len(dialer.recv(timeout_ms=20_000)) == len(frame)
            own = time.process_time() - began
            dialer.send(b"thanks")
            measured[kind] = rate(kind, own + float(listener.stdout.readline()))
    return measured


def portal_listener(port: int) -> None:
    from quic_portal import Portal, QuicTransportOptions

    portal = Portal()
    print("begins", flush=True)
    portal.listen(port, QuicTransportOptions())
    portal.recv(timeout_ms=20_000)
    for kind, frame in (("bulk", CHUNK), ("messages", MESSAGE)):
        began = time.process_time()
        for _ in range(AMOUNTS[kind]):
            portal.send(frame)
        portal.recv(timeout_ms=20_000)
        print(time.process_time() - began, flush=True)


LIBRARIES: dict[str, tuple[str, Callable[[], Any]]] = {
    "ours": ("mina-p2p", ours),
    "aioquic": ("aioquic", lambda: like_aioquic("aioquic")),
    "qh3": ("qh3", lambda: like_aioquic("qh3")),
    "libp2p": ("libp2p", libp2p),
    "quic_portal": ("quic-portal", quic_portal),
}


def measure_here(name: str) -> None:
    package, run = LIBRARIES[name]
    result = run()
    measured = asyncio.run(result) if asyncio.iscoroutine(result) else result
    try:
        version = metadata.version(package)
    except metadata.PackageNotFoundError:
        version = "checkout"
    print(json.dumps({"version": version, "python": sys.version.split()[0], **measured}))


def measure(name: str, python: str, rounds: int) -> dict[str, Any]:
    """Medians over processes, or why there are none."""
    found: list[dict[str, Any]] = []
    for _ in range(rounds):
        try:
            done = subprocess.run([python, __file__, "--here", name], capture_output=True, text=True, timeout=LAST_RESORT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return {"not_measured": f"{type(error).__name__}"}
        if done.returncode:
            return {"not_measured": (done.stderr.strip().splitlines() or ["it failed"])[-1]}
        found.append(json.loads(done.stdout.splitlines()[-1]))
    medians = {kind: statistics.median(each[kind] for each in found) for kind in AMOUNTS if kind in found[0]}
    return {"version": found[0]["version"], "python": found[0]["python"], **medians}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", action="append", metavar="NAME[=PYTHON]", help=f"of {', '.join(LIBRARIES)} (default: all, here)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--here", choices=tuple(LIBRARIES), help=argparse.SUPPRESS)
    parser.add_argument("--portal", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.portal:
        portal_listener(arguments.portal)
        return
    if arguments.here:
        measure_here(arguments.here)
        return
    rows: dict[str, dict[str, Any]] = {}
    for chosen in arguments.only or list(LIBRARIES):
        name, _, python = chosen.partition("=")
        if name not in LIBRARIES:
            parser.error(f"{name} is none of {', '.join(LIBRARIES)}")
        row = rows[name] = measure(name, python or sys.executable, arguments.rounds)
        if arguments.json:
            continue
        if "not_measured" in row:
            print(f"{name:12} not measured: {row['not_measured']}")
            continue
        figures = "  ".join(f"{kind} {row[kind]:10,.1f}" for kind in AMOUNTS if kind in row)
        print(f"{name:12} {row['version']:10} {figures}   (MB, messages, handshakes by CPU second)", flush=True)
    if arguments.json:
        json.dump(rows, sys.stdout, indent=2)
        print()


if __name__ == "__main__":
    main()
