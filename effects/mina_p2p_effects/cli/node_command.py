"""Run a node: listen, dial peers, keep up connections, until it is told to stop.

  mina-p2p node --network devnet --peer-list-file peers.txt --libp2p-keypair keys/node
  mina-p2p node --seed --listen 8302 --external-ip 203.0.113.7 --status
  mina-p2p node --network devnet --peer /ip4/203.0.113.7/tcp/8302/p2p/12D3KooW… --libp2p-listen /ip4/0.0.0.0/tcp/8302

A node is on two networks at once: pull connections over QUIC, and OCaml nodes' libp2p over TCP (extra: libp2p), with one key and,
by default, the same port number. --transport leaves one of them out.

Flags are named as operators of Mina know them. The key file is the encrypted one that `mina-p2p key` and Mina's own tools write;
its password is read from MINA_LIBP2P_PASS, or asked for on a terminal. A peer list has one address a line, such as
/ip4/203.0.113.7/tcp/8302/p2p/12D3KooW… or /ip4/203.0.113.7/udp/8302/quic-v1/p2p/12D3KooW…; lines for other transports are left
out and counted.

This command runs no ledger and verifies no proofs. By default it takes what peers offer, counts it, and passes nothing on
(--verdict none). With --verdict accept everything well-formed is valid: for networks of your own only.

SIGINT or SIGTERM ends it in order: peers get a goodbye, the log is finished, the exit code is 0. A second signal ends it at once.
SIGUSR1: dial nobody more on libp2p's network, wait for others; SIGUSR2: dial again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mina_p2p.config import Limits
from mina_p2p.discovery.config import AddressGossipConfig
from mina_p2p.errors import CallerError
from mina_p2p.ids import SECOND
from mina_p2p_effects.cli.arguments import SEED_MAX, directory, http_url, https_url, port, rate, seconds, whole
from mina_p2p_effects.cli.node.service import Display, Service
from mina_p2p_effects.cli.node.settings import GOSSIP, LIBP2P, PORT_DEFAULT, TRANSPORTS, read_settings
from mina_p2p_effects.loop import run_on_best_loop
from mina_p2p_effects.metrics import opentelemetry, prometheus

LIVE_EVERY_S = 1.0
JSON_EVERY_S = 10.0
GOSSIP_EVERY_S = AddressGossipConfig().interval // SECOND
GOSSIP_EVERY_S_MAX = AddressGossipConfig().ttl // SECOND


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    who = parser.add_argument_group("identity and network")
    who.add_argument(
        "--libp2p-keypair", metavar="FILE", help="the encrypted key file, or a key line in its place (default: a new key for this run)"
    )
    who.add_argument(
        "--network",
        default="mainnet",
        metavar="NAME|FILE",
        help="mainnet, devnet, a chain id of 64 hex digits, or a file with one (default: mainnet)",
    )
    where = parser.add_argument_group("addresses")
    where.add_argument(
        "--listen",
        metavar="[HOST:]PORT",
        help="where to listen; [::]:PORT for IPv6 too; port 0 for any; or as /ip4/HOST/udp/PORT/quic-v1 "
        f"(default: {PORT_DEFAULT} on all IPv4 addresses)",
    )
    where.add_argument("--bind-ip", metavar="IP", help="the host alone of --listen (OCaml)")
    where.add_argument(
        "--external-port", "--libp2p-port", type=port, metavar="PORT", help="the port alone of --listen, for UDP and TCP (OCaml, Rust)"
    )
    where.add_argument(
        "--libp2p-listen",
        metavar="[HOST:]PORT",
        help="where to listen for libp2p, or as /ip4/HOST/tcp/PORT (default: as --listen, which is TCP beside UDP)",
    )
    where.add_argument(
        "--external-ip",
        "--external-address",
        action="append",
        default=[],
        metavar="IP",
        help="numeric address at which others reach this node; may be given more than once",
    )
    where.add_argument(
        "--transport", choices=TRANSPORTS, help="what carries connections (default: both; quic alone where the extra libp2p is missing)"
    )
    peers = parser.add_argument_group("peers")
    peers.add_argument(
        "--peer", "--peers", "-P", action="append", default=[], metavar="ADDRESS", help="a first peer; may be given more than once"
    )
    peers.add_argument("--peer-list-file", type=Path, metavar="FILE", help="first peers, one address a line")
    peers.add_argument(
        "--peer-list-url", type=https_url, metavar="URL", help="the same from an https URL, which is asked again every ten minutes"
    )
    peers.add_argument("--seed", action="store_true", help="be a node that others come to: start without any first peer")
    peers.add_argument(
        "--min-connections",
        type=whole(0),
        metavar="N",
        help=f"below so many on a transport, peers are dialled (default: {Limits().peers_min}; libp2p {LIBP2P.connections_min})",
    )
    peers.add_argument(
        "--max-connections",
        type=whole(1),
        metavar="N",
        help="at most so many pull connections, attempts included; above so many of libp2p, some are ended "
        f"(default: {Limits().peers_max}; libp2p {LIBP2P.connections_max})",
    )
    peers.add_argument(
        "--peers-file",
        type=Path,
        metavar="FILE",
        help="keep what is known of peers there over restarts, and dial the last connections first; see mina-p2p peers",
    )
    peers.add_argument("--no-peers-discovery", action="store_true", help="never ask peers for more peers")
    peers.add_argument(
        "--direct-peer",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="a peer of libp2p's network to stay connected with, and to give every gossip message; it should name this node likewise (OCaml)",
    )
    peers.add_argument(
        "--isolate-network", action="store_true", help="on libp2p's network, speak with the first peers only, whoever else dials (OCaml)"
    )
    peers.add_argument(
        "--validation-queue-size",
        type=whole(1),
        default=GOSSIP.validations_max,
        metavar="N",
        help="gossip messages that wait for a verdict at once; more are dropped (OCaml; default: %(default)s)",
    )
    peers.add_argument(
        "--peer-protection-rate",
        type=rate,
        default=LIBP2P.protected_percent,
        metavar="RATE",
        help="share of libp2p's routing table, 0 to 1, that is not disconnected for want of room "
        f"(OCaml; default: {LIBP2P.protected_percent / 100:g})",
    )
    peers.add_argument(
        "--enable-flooding",
        nargs="?",
        const="true",
        choices=("true", "false"),
        default="false",
        help="on libp2p's network, send our own gossip to every subscriber instead of the mesh alone (OCaml)",
    )
    peers.add_argument(
        "--enable-peer-exchange",
        nargs="?",
        const="true",
        choices=("true", "false"),
        default="false",
        help="on libp2p's network, name other peers to one for which there is no room in the mesh, and dial whom such a peer names (OCaml)",
    )
    peers.add_argument(
        "--disable-node-status",
        action="store_true",
        help="on libp2p's network, do not tell peers that ask what this node is doing and with whom it is connected (OCaml)",
    )
    peers.add_argument(
        "--address-gossip",
        type=whole(1, GOSSIP_EVERY_S_MAX),
        nargs="?",
        const=GOSSIP_EVERY_S,
        metavar="SECONDS",
        help=f"find peers by gossip of addresses too, and tell our own so often (where it is on, by default every {GOSSIP_EVERY_S} s)",
    )
    peers.add_argument(
        "--strict-address-gossip",
        action="store_true",
        help="with --address-gossip: by the six rules of its proposal alone, so that no dial is repeated",
    )
    peers.add_argument(
        "--allow-private-addresses",
        action="store_true",
        help="believe private and local addresses that peers name; for networks of your own",
    )
    peers.add_argument(
        "--verdict",
        choices=("none", "accept"),
        default="none",
        help="what to say of items that nobody here can verify: nothing, or that they are valid (default: none)",
    )
    see = parser.add_argument_group("what is seen")
    shown = see.add_mutually_exclusive_group()
    shown.add_argument("--status", action="store_true", help="a live view instead of a line for each event")
    shown.add_argument("--json", action="store_true", help="one JSON object a line: events, and the status at intervals")
    see.add_argument(
        "--every", type=seconds, metavar="SECONDS", help="between two looks at the status (default: 1 with --status, 10 with --json)"
    )
    see.add_argument("--log", type=directory, metavar="DIR", help="record every action to a file in DIR; see mina-p2p replay")
    see.add_argument(
        "--log-rotate-mb",
        type=whole(1),
        default=256,
        metavar="N",
        help="begin another file of the log once one has so many MB; each replays by itself (default: %(default)s)",
    )
    see.add_argument("--log-rotate-hours", type=whole(1), metavar="N", help="the same once one covers so many hours")
    see.add_argument("--qlog", type=directory, metavar="DIR", help="write what QUIC does to a file in DIR for each connection; for qvis")
    see.add_argument("--metrics-port", type=port, metavar="PORT", help="serve Prometheus metrics over HTTP; 0 for any (extra: metrics)")
    see.add_argument("--metrics-ip", default="127.0.0.1", metavar="IP", help="where to serve them (default: 127.0.0.1)")
    see.add_argument(
        "--random-seed", type=whole(0, SEED_MAX), metavar="N", help="decides the dice of the reducers; no secret (default: a new one)"
    )
    see.add_argument(
        "--otlp-endpoint",
        type=http_url,
        metavar="URL",
        help="send the same figures to an OpenTelemetry collector, at every look (extra: metrics)",
    )
    see.add_argument("--duration", type=seconds, metavar="SECONDS", help="stop after so long (default: run until a signal)")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    if arguments.metrics_port is not None:
        prometheus.require_extra()
    if arguments.otlp_endpoint is not None:
        opentelemetry.require_extra()
    if arguments.status and not sys.stdout.isatty():
        raise CallerError("--status draws on a terminal, and standard output is none; use --json")
    display = Display(
        is_json=arguments.json,
        is_live=arguments.status,
        every_s=arguments.every or (LIVE_EVERY_S if arguments.status else JSON_EVERY_S),
        metrics_host=arguments.metrics_ip,
        metrics_port=arguments.metrics_port,
        otlp_endpoint=arguments.otlp_endpoint,
        stop_after_s=arguments.duration,
    )
    settings = read_settings(arguments)

    async def serve() -> int:
        return await Service(settings, display).run()

    return run_on_best_loop(serve())
