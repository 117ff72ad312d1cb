"""Check what a node knows of its peers: whether its tables agree with themselves, and whether addresses can be reached.

First the invariants of the peer table and of connections, the same that the simulator checks after every step. Then addresses are
dialled, some at a time, each as mina-p2p ping does it: anchors and tried ones first, then what persons named, then what was
heard of. --no-dial leaves that out; naming peers dials these alone. A dial is a connection of a node with a fresh key.

Exit codes: 0 all is consistent and every address that was dialled was reached; 1 not; 2 the source or an option is unusable.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterable
from typing import Any, Final

from mina_p2p.address import Libp2pAddress, QuicAddress
from mina_p2p.errors import CallerError
from mina_p2p.identity import ChainId
from mina_p2p.peer.account import NAMED, TRIED, Account, accounts
from mina_p2p.record import Record, record
from mina_p2p.testing.invariants.connections import connections_violations
from mina_p2p.testing.invariants.peers import peers_violations
from mina_p2p_effects.cli.arguments import seconds, shortened, whole
from mina_p2p_effects.cli.node.settings import read_network
from mina_p2p_effects.cli.peers.source import Source, add_source, known_as, opened, say, say_json
from mina_p2p_effects.cli.ping.causes import Cause
from mina_p2p_effects.cli.ping.libp2p import ping_libp2p
from mina_p2p_effects.cli.ping.plan import Plan
from mina_p2p_effects.cli.ping.quic import ping_quic
from mina_p2p_effects.cli.ping.report import NotReachedError, Report
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.logs.text import printable

FOUND: Final = 1
PARALLEL_MAX: Final = 64


@record
class Tried(Record):
    """A dial and what came of it."""

    one: Account
    problem: str | None
    """Why it was not reached; ``None`` where it was."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    add_source(parser)
    parser.add_argument("peer", nargs="*", metavar="PEER", help="dial these: the beginning of an id or of an address")
    parser.add_argument("--no-dial", action="store_true", help="look at the tables alone")
    parser.add_argument("-n", "--max", type=whole(1), default=20, metavar="N", help="dial at most N addresses (default: 20)")
    parser.add_argument("--parallel", type=whole(1, PARALLEL_MAX), default=8, metavar="N", help="so many at a time (default: 8)")
    parser.add_argument("--timeout", type=seconds, default=5.0, metavar="SECONDS", help="longest way to an open connection (default: 5)")
    parser.add_argument(
        "--network", metavar="NAME|FILE", help="of a peers file, which does not say it (default: mainnet); see mina-p2p ping"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    with opened(arguments.source) as source:
        wrong = [*peers_violations(source.state), *connections_violations(source.state)]
        if not arguments.json:
            for violation in wrong:
                say(f"WRONG  {printable(violation)}")
            known = len(source.state.peers)
            say(f"{known} records, {source.what}: {f'{len(wrong)} things are wrong' if wrong else 'the tables agree with themselves'}")
        targets = [] if arguments.no_dial else _targets(source, arguments)
        chain_id = source.state.config.chain_id if source.session is not None else read_network(arguments.network or "mainnet")[1]
        done = asyncio.run(_dial(targets, chain_id, arguments, (lambda _: None) if arguments.json else _show))
    failed = [each for each in done if each.problem is not None]
    if arguments.json:
        say_json({"violations": wrong, "dialled": [_object(each) for each in done], "reached": len(done) - len(failed)})
    elif targets:
        say(f"{len(done) - len(failed)} of {len(done)} addresses reached")
    return FOUND if wrong or failed else 0


def _targets(source: Source, arguments: argparse.Namespace) -> list[Account]:
    """Whom to dial, the most important first.

    :raises CallerError: where a peer is named that is not known or has no address.
    """
    found = accounts(source.state, source.now)
    if arguments.peer:
        return [_named(text, found) for text in arguments.peer]
    order = {TRIED: 1, NAMED: 2}
    dialable = [one for one in found if isinstance(one.peer.address, QuicAddress | Libp2pAddress)]
    dialable.sort(key=lambda one: 0 if one.is_anchor else order.get(one.table, 3))
    return dialable[: arguments.max]


def _named(text: str, found: list[Account]) -> Account:
    one = known_as(text, found)
    if one is None:
        raise CallerError(f"nothing is known of {shortened(text)!a}")
    if not isinstance(one.peer.address, QuicAddress | Libp2pAddress):
        raise CallerError(f"of {shortened(text)!a} no address is known that can be dialled")
    return one


async def _dial(targets: Iterable[Account], chain_id: ChainId, arguments: argparse.Namespace, tell: Callable[[Tried], None]) -> list[Tried]:
    """Dial all, some at a time; ``tell`` hears of each when it is over."""
    places = asyncio.Semaphore(arguments.parallel)

    async def dialled(one: Account) -> Tried:
        async with places:
            done = Tried(one, await _problem(one, chain_id, arguments.timeout))
        tell(done)
        return done

    return list(await asyncio.gather(*map(dialled, targets)))


async def _problem(one: Account, chain_id: ChainId, timeout_s: float) -> str | None:
    """Why an address is not reached."""
    address = one.peer.address
    if not isinstance(address, QuicAddress | Libp2pAddress):
        raise TypeError(f"{address} can not be dialled")
    plan = Plan(address, chain_id, SecretKey.generate(), timeout_s, 1)
    report = Report(lambda _: None)
    try:
        if isinstance(address, QuicAddress):
            await ping_quic(plan, address, report)
        else:
            await ping_libp2p(plan, address, report)
    except NotReachedError as error:
        return f"{error.cause.name} in the step {report.name.value}: {error.detail}"
    except TimeoutError:
        return f"{Cause.NO_ANSWER.name} in the step {report.name.value}: nothing within {timeout_s:g} s"
    except OSError as error:
        return f"{Cause.CLOSED.name} in the step {report.name.value}: {error.strerror or error}"
    return None


def _show(done: Tried) -> None:
    address = printable(str(done.one.peer.address))
    say(f"ok      {address}" if done.problem is None else f"FAILED  {address}\n        {printable(done.problem)}")
    sys.stdout.flush()


def _object(done: Tried) -> dict[str, Any]:
    peer = done.one.peer
    return {"peer_id": str(peer.peer_id), "address": str(peer.address), "reached": done.problem is None, "problem": done.problem}
