"""QUIC over bad paths: two hosts in network namespaces, delay, loss and rate limits; TCP beside it on the same path.

    python benchmarks/quic_paths.py [--json] [--quick] [--only PATH ...]

Needs root and Linux; see support/quic_netns.py for how the path is made. For each path: a handshake with hellos, one large answer, and 100 answers
of 1 KB with a stream each, eight at a time. TCP carries the same large answer, without TLS, by each congestion control that the kernel has. Rates are by wall time,
because the path is the limit and not the processor. Exit code 1 where anything does not complete, 2 where namespaces can not be used.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import socket
import sys
import time
from pathlib import Path
from typing import Any

from support.quic_netns import ADDRESSES, Link, TwoHosts, why_not
from support.quic_node import CONFIG, MESSAGE, Node

from mina_p2p.transport import SocketAddress
from mina_p2p_effects.keys import SecretKey

QUIC_PORT, TCP_PORT = 7000, 7001
COMPLETES_WITHIN_S = 180.0
SMALL_ANSWERS = 100
WIDTH = 8
TCP_ALGORITHMS = [
    name for name in ("cubic", "reno", "bbr") if name in Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split()
]
"""Of those that this kernel has; cubic is what most have as default."""

LINKS = {
    link.name: (link, kilobytes)
    for link, kilobytes in (
        (Link("no delay"), 8_000),
        (Link("50 ms", delay_s=0.05), 8_000),
        (Link("50 ms, 2 % loss", delay_s=0.05, loss=0.02), 1_000),
        (Link("50 ms, 10 Mbit/s", delay_s=0.05, bits_per_second=10e6), 4_000),
        (Link("50 ms, 2 % loss, 10 Mbit/s", delay_s=0.05, loss=0.02, bits_per_second=10e6), 1_000),
        (Link("10 % loss", delay_s=0.01, loss=0.1), 500),
    )
}


async def serve(congestion_control: str) -> None:
    node = Node(2, ADDRESSES[1], QUIC_PORT, CONFIG.replace(congestion_control=congestion_control))
    await node.start()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        count, algorithm = (await reader.readline()).split()
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, algorithm)
        for _ in range(int(count)):
            writer.write(MESSAGE)
            await writer.drain()
        writer.close()

    await asyncio.start_server(answer, ADDRESSES[1], TCP_PORT)
    print("ready", flush=True)
    await asyncio.Event().wait()


async def ask(kilobytes: int) -> dict[str, Any]:
    node = Node(1, ADDRESSES[0])
    await node.start()
    began = time.perf_counter()
    connection_id = await node.dial_at(SecretKey.deterministic(2).peer_id, SocketAddress(ADDRESSES[1], QUIC_PORT))
    result: dict[str, Any] = {"handshake_s": time.perf_counter() - began}
    size = kilobytes * (len(MESSAGE) + 4)
    began = time.perf_counter()
    async with asyncio.timeout(COMPLETES_WITHIN_S):
        await node.fetch(connection_id, size, len(MESSAGE), b"want %d" % kilobytes)
    result["quic_kb_per_s"] = kilobytes / (time.perf_counter() - began)
    began = time.perf_counter()
    slots = asyncio.Semaphore(WIDTH)

    async def one() -> None:
        async with slots:
            await node.fetch(connection_id, len(MESSAGE) + 4, len(MESSAGE), b"want 1")

    async with asyncio.timeout(COMPLETES_WITHIN_S):
        await asyncio.gather(*(one() for _ in range(SMALL_ANSWERS)))
    result["small_answers_per_s"] = SMALL_ANSWERS / (time.perf_counter() - began)
    (row,) = node.transport.traffic().connections
    result["rtt_ms"] = None if row.rtt_s is None else row.rtt_s * 1000
    result["datagram_bytes"] = row.datagram_bytes
    for algorithm in TCP_ALGORITHMS:
        result[f"tcp_{algorithm}_kb_per_s"] = await tcp(kilobytes, algorithm)
    await node.transport.stop()
    return result


async def tcp(kilobytes: int, algorithm: str) -> float:
    """The large answer over TCP, in kB each second."""
    reader, writer = await asyncio.open_connection(ADDRESSES[1], TCP_PORT)
    began = time.perf_counter()
    writer.write(f"{kilobytes} {algorithm}\n".encode())
    received = 0
    async with asyncio.timeout(COMPLETES_WITHIN_S):
        while piece := await reader.read(1 << 20):
            received += len(piece)
    if received != kilobytes * len(MESSAGE):
        raise OSError("TCP lost something")
    writer.close()
    return kilobytes / (time.perf_counter() - began)


def measure(link: Link, kilobytes: int, congestion_control: str) -> dict[str, Any]:
    with TwoHosts(link) as hosts:
        server = hosts.popen(1, sys.executable, __file__, "--serve", "--congestion", congestion_control)
        try:
            assert server.stdout is not None
            if server.stdout.readline() != "ready\n":
                raise OSError("the server did not start")
            client = hosts.popen(0, sys.executable, __file__, "--ask", str(kilobytes))
            output, _ = client.communicate(timeout=4 * COMPLETES_WITHIN_S)
            if client.returncode:
                return {"completed": False}
            return {"completed": True, **json.loads(output)}
        finally:
            server.kill()
            server.communicate()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="a tenth of the bytes")
    parser.add_argument("--only", action="append", choices=tuple(LINKS), metavar="PATH", help=", ".join(LINKS))
    parser.add_argument(
        "--congestion", choices=("reno", "cubic"), default=CONFIG.congestion_control, help="what the sender of the answers uses"
    )
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--ask", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(arguments.congestion))
        return 0
    if arguments.ask is not None:
        print(json.dumps(asyncio.run(ask(arguments.ask))))
        return 0
    if (reason := why_not()) is not None:
        sys.stderr.write(f"quic_paths.py: {reason}\n")
        return 2
    rows: dict[str, dict[str, Any]] = {}
    if not arguments.json:
        columns = "".join(f"{f'TCP {algorithm}':>11}" for algorithm in TCP_ALGORITHMS)
        print(
            f"{'kB/s over the path':28} {'handshake':>10} {'QUIC':>10}{columns} {'QUIC/first TCP':>15} {'1 KB answers/s':>15} {'rtt ms':>7}"
        )
    for name in arguments.only or LINKS:
        link, kilobytes = LINKS[name]
        row = rows[name] = measure(link, max(100, kilobytes // 10) if arguments.quick else kilobytes, arguments.congestion)
        if arguments.json:
            continue
        if not row["completed"]:
            print(f"{name:28} did not complete")
            continue
        rates = [row[f"tcp_{algorithm}_kb_per_s"] for algorithm in TCP_ALGORITHMS]
        columns = "".join(f"{rate:11.0f}" for rate in rates)
        ratio = row["quic_kb_per_s"] / rates[0]
        print(
            f"{name:28} {row['handshake_s']:9.3f}s {row['quic_kb_per_s']:10.0f}{columns} {ratio:15.2f} "
            f"{row['small_answers_per_s']:15.0f} {row['rtt_ms']:7.1f}",
            flush=True,
        )
    if arguments.json:
        json.dump(rows, sys.stdout, indent=2)
        print()
    return 0 if all(row["completed"] for row in rows.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
