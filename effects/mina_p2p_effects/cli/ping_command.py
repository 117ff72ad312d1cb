"""Say step by step how far a connection to a node gets, and why it fails.

  mina-p2p ping /ip4/203.0.113.7/udp/8302/quic-v1/p2p/12D3KooW…
  mina-p2p ping --network devnet --count 10 /dns4/seed.example.org/tcp/10511/p2p/12D3KooW…

Each step is shown when it is over, with the time since the beginning. Over libp2p (tcp): name, connect, network (the private
network's key), security (multistream), identity (Noise), muxer, identify, ping. Over QUIC (udp): name, first answer, network (ALPN),
identity (the certificate), hello, ping. Where one fails, the last lines name it with a typed reason, and say what to do.

Exit codes: 0 the node was reached; 1 it was not; 2 the address or an option is unusable.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import Any, Final

from mina_p2p.address import AddressError, Libp2pAddress, QuicAddress, WebRtcAddress, parse_address
from mina_p2p.errors import CallerError
from mina_p2p_effects.cli.arguments import seconds, shortened, whole
from mina_p2p_effects.cli.node.settings import read_network
from mina_p2p_effects.cli.password import operators_password
from mina_p2p_effects.cli.ping.causes import Cause, advice
from mina_p2p_effects.cli.ping.libp2p import ping_libp2p
from mina_p2p_effects.cli.ping.plan import Plan
from mina_p2p_effects.cli.ping.quic import ping_quic
from mina_p2p_effects.cli.ping.report import NotReachedError, Report, Step
from mina_p2p_effects.keyfile import load_key
from mina_p2p_effects.keys import SecretKey

COUNT_MAX: Final = 100_000
_TIMEOUT_MAX_S: Final = 3600.0
_MARKS: Final = {True: "ok", False: "FAILED", None: "-"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument(
        "address", metavar="ADDRESS", help="where the node is, with its peer id: /ip4|ip6|dns4/…/udp/…/quic-v1/p2p/ID or …/tcp/…/p2p/ID"
    )
    parser.add_argument(
        "--network",
        default="mainnet",
        metavar="NAME|FILE",
        help="mainnet, devnet, a chain id of 64 hex digits, or a file with one (default: mainnet)",
    )
    parser.add_argument("--count", type=whole(1, COUNT_MAX), default=3, metavar="N", help="round trips to measure (default: 3)")
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=10.0,
        metavar="SECONDS",
        help="longest way to an open connection; from then on, longest wait for each answer; at most an hour (default: 10)",
    )
    parser.add_argument(
        "--libp2p-keypair", metavar="FILE", help="who to be: the encrypted key file, or a key line in its place (default: a fresh key)"
    )
    parser.add_argument(
        "--status", action="store_true", help="over libp2p, read also what the node writes of itself, as mina advanced node-status does"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end, and nothing else")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    text: str = arguments.address
    try:
        address = parse_address(text)
    except AddressError as error:
        raise CallerError(f"{shortened(text)!a}: {error.detail}") from None
    if isinstance(address, WebRtcAddress):
        raise CallerError("WebRTC addresses can not be pinged; give one with /udp/…/quic-v1/ or /tcp/")
    network, chain_id = read_network(arguments.network)
    source: str | None = arguments.libp2p_keypair
    key = SecretKey.generate() if source is None else load_key(source, operators_password)
    if arguments.status and not isinstance(address, Libp2pAddress):
        raise CallerError("--status is for addresses of libp2p, with /tcp/")
    plan = Plan(address, chain_id, key, min(arguments.timeout, _TIMEOUT_MAX_S), arguments.count, arguments.status)
    transport = "quic" if isinstance(address, QuicAddress) else "libp2p"
    about: dict[str, Any] = {"address": str(address), "transport": transport, "network": network, "own_peer_id": key.peer_id.libp2p}
    is_json: bool = arguments.json
    if not is_json:
        who = "a fresh key" if source is None else "the key given"
        _say(f"{address}\nover {transport}, network {network}, as {key.peer_id.libp2p} ({who})")
    report = Report((lambda _: None) if is_json else _show)
    result = asyncio.run(_ping(plan, address, report))
    if is_json:
        _say(json.dumps({**about, "steps": [step.json() for step in report.steps], "result": result}, indent=2))
    elif result["reached"]:
        _say("reached")
    else:
        _say(f"not reached: {result['reason']} in the step {result['step']}\n{result['advice']}")
    return 0 if result["reached"] else 1


async def _ping(plan: Plan, address: Libp2pAddress | QuicAddress, report: Report) -> dict[str, Any]:
    """Ping; what came of it, for people and scripts."""
    try:
        try:
            if isinstance(address, QuicAddress):
                await ping_quic(plan, address, report)
            else:
                await ping_libp2p(plan, address, report)
        except TimeoutError:
            raise NotReachedError(Cause.NO_ANSWER, f"no answer within {plan.timeout_s:g} s") from None
        except OSError as error:
            raise NotReachedError(Cause.CLOSED, error.strerror or str(error)) from None
    except NotReachedError as error:
        report.failed(error.detail)
        told = {"step": report.name.value, "reason": error.cause.name, "detail": error.detail}
        return {"reached": False, **told, "advice": advice(error.cause, report.name)}
    return {"reached": True}


def _show(step: Step) -> None:
    _say(f"{step.at_s:9.3f} s  {_MARKS[step.is_ok]:<6}  {step.name.value:<12}  {step.detail}")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
