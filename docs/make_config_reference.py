"""Writes the reference of all settings, from the classes that hold them.

python docs/make_config_reference.py            write it
python docs/make_config_reference.py --check    exit with 1 where it is not what it would write
"""

from __future__ import annotations

import argparse
import ast
import enum
import inspect
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs

from mina_p2p.blocks.config import BlocksConfig
from mina_p2p.config import Limits, P2pConfig, Timeouts
from mina_p2p.discovery.config import AddressGossipConfig
from mina_p2p.gossiper import GossipParameters
from mina_p2p.ids import MILLISECOND, SECOND
from mina_p2p.libp2p.config import GossipsubConfig, KademliaConfig, NetworkConfig
from mina_p2p.peer.config import PeerTableConfig
from mina_p2p.relay.config import RelayConfig
from mina_p2p_effects.node import NodeConfig
from mina_p2p_effects.transports.quic import QuicConfig

PAGE = Path(__file__).resolve().parent / "reference" / "config.md"
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
TEN_THOUSAND = 10_000
"""From here on thousands are set apart."""

HEAD = """\
<!-- Written by docs/make_config_reference.py; change the classes' docstrings instead. -->

# Settings

Every limit, time-out and choice has one home. A node takes a `NodeConfig`; what the reducers need of it becomes their
`P2pConfig`, which is part of the state and so of the log. A node reads nothing from the environment or from files.

"""

SECTIONS: tuple[tuple[type[Any], str], ...] = (
    (NodeConfig, "The settings of `mina_p2p_effects.node.Node`. All are given by name."),
    (Limits, "Bounds of every container and every message: `mina_p2p.config.Limits`, given as `limits`."),
    (Timeouts, "Every wait ends: `mina_p2p.config.Timeouts`, given as `timeouts`. In code these are nanoseconds."),
    (AddressGossipConfig, "Address gossip: `mina_p2p.discovery.config.AddressGossipConfig`, given as `address_gossip`."),
    (GossipParameters, "A gossiper: `mina_p2p.gossiper.GossipParameters`, in `AddressGossipConfig.gossip`."),
    (PeerTableConfig, "The peer table: `mina_p2p.peer.config.PeerTableConfig`, given as `peer_table`. In code durations are nanoseconds."),
    (BlocksConfig, "Blocks by header first: `mina_p2p.blocks.config.BlocksConfig`, given as `blocks`. In code durations are nanoseconds."),
    (NetworkConfig, "libp2p's network: `mina_p2p.libp2p.config.NetworkConfig`, in `P2pConfig.libp2p`. In code durations are nanoseconds."),
    (KademliaConfig, "Discovery there: `mina_p2p.libp2p.config.KademliaConfig`, given as `kademlia`."),
    (GossipsubConfig, "Gossip there: `mina_p2p.libp2p.config.GossipsubConfig`, given as `gossipsub`."),
    (RelayConfig, "Push and pull: `mina_p2p.relay.config.RelayConfig`, given as `relay`. In code durations are nanoseconds."),
    (QuicConfig, "The QUIC transport: `mina_p2p_effects.transports.quic.QuicConfig`, given as `quic`."),
    (P2pConfig, "What the reducers know: `mina_p2p.config.P2pConfig`. Give it yourself where you run them without a `Node`."),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the page; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    is_check = parser.parse_args(arguments).check
    text = HEAD + "\n".join(section(*part) for part in SECTIONS)
    is_current = PAGE.exists() and PAGE.read_text(encoding="utf-8") == text
    if is_check and not is_current:
        sys.stderr.write(f"{PAGE.name} is out of date; run python docs/make_config_reference.py\n")
        return 1
    if not is_current:
        PAGE.write_text(text, encoding="utf-8")
    return 0


def section(cls: type[Any], about: str) -> str:
    """The table of one class."""
    meanings = (dict(_docstrings(P2pConfig)) if cls is NodeConfig else {}) | dict(_docstrings(cls))
    rows = [f"| `{f.name}` | {_default(cls, f)} | {_cell(meanings.get(f.name, ''))} |" for f in attrs.fields(cls)]
    return "\n".join([f"## {cls.__name__}", "", about, "", "| setting | default | meaning |", "|---|---|---|", *rows, ""])


def _docstrings(cls: type[Any]) -> Iterator[tuple[str, str]]:
    """Names of fields with the strings that stand under them."""
    module = ast.parse(inspect.getsource(sys.modules[cls.__module__]))
    (body,) = (node.body for node in module.body if isinstance(node, ast.ClassDef) and node.name == cls.__name__)
    for field, below in pairwise(body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, inspect.cleandoc(text)
            case _:
                pass


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("``", "`").replace("|", "\\|")


def _default(cls: type[Any], field: Any) -> str:
    if field.default is attrs.NOTHING:
        return "(required)"
    if (factory := getattr(field.default, "factory", None)) is not None:
        return f"`{factory.__name__}()`"
    return _value(cls, field.name, field.default)


def _value(cls: type[Any], name: str, value: Any) -> str:
    match value:
        case bool() | None | str():
            return f"`{value!r}`"
        case enum.Enum():
            return f"`{value.name}`"
        case tuple():
            return ", ".join(_value(cls, name, item) for item in value) or "none"
        case int() | float():
            return _number(value, _unit(cls, name, value))
        case _:
            return f"`{type(value).__name__}()`"


GOSSIP_DURATIONS = frozenset(
    {
        *("interval", "first_after", "ttl", "clock_skew", "issue_pause", "cooldown", "cooldown_few", "cooldown_bad", "coalescing"),
        *("fetch_timeout", "finished_entry_duration", "answer_timeout", "remainder_timeout", "validation_timeout", "verification_timeout"),
    }
)


BLOCK_DURATIONS = frozenset(
    {
        "hedge",
        "answer",
        "verdict",
        "candidate",
        "interval",
        "settle",
        "parked",
        "granularity",
        "question_waiting",
        "send_ahead",
        "along_ahead",
    }
)

OF_LIBP2P = frozenset({NetworkConfig, KademliaConfig, GossipsubConfig})
"""Where every number from a million on that counts no bytes is a duration."""


def _unit(cls: type[Any], name: str, value: float) -> str:
    words = name.split("_")
    if "percent" in words:
        return "%"
    if cls is Timeouts or (cls in {AddressGossipConfig, GossipParameters} and name in GOSSIP_DURATIONS):
        return "ns"
    if cls is PeerTableConfig and name in {"feeler_interval", "tested_within"}:
        return "ns"
    if cls is RelayConfig and name in {"verdict", "tip_age_max"}:
        return "ns"
    if cls is BlocksConfig and name in BLOCK_DURATIONS:
        return "ns"
    if cls in OF_LIBP2P and "bytes" not in words and value >= MILLISECOND:
        return "ns"
    if "bytes" in words:
        return "bytes"
    return "s" if words[-1] == "s" else ""


def _number(value: float, unit: str) -> str:
    """A number as people write it."""
    if unit == "ns":
        return f"{value // MILLISECOND} ms" if value < SECOND else f"{value / SECOND:g} s"
    if unit == "bytes":
        for size, larger in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
            if value >= size and value % size == 0:
                return f"{int(value) // size} {larger}"
    text = f"{value:g}" if value < TEN_THOUSAND else f"{value:,.10g}".replace(",", " ")
    return f"{text} {unit}".rstrip()


if __name__ == "__main__":
    sys.exit(main())
