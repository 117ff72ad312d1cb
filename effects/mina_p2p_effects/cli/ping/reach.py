"""Names resolved, and addresses tried one after the other, each with its share of the time."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from mina_p2p.address import Domain, Libp2pAddress, QuicAddress
from mina_p2p.transport import SocketAddress
from mina_p2p_effects.cli.ping.causes import Cause, StepName
from mina_p2p_effects.cli.ping.report import NotReachedError, Report

T = TypeVar("T")

_MOST_TELLING = (Cause.REFUSED, Cause.NO_ANSWER, Cause.UNREACHABLE)


async def resolve(address: Libp2pAddress | QuicAddress, report: Report, end: float) -> list[SocketAddress]:
    """All numeric addresses of the host, in the resolver's order.

    :param end: the time of the loop at which it is too late.
    :raises NotReachedError: where there is none.
    """
    report.begin(StepName.NAME)
    name = address.host.plain
    try:
        async with asyncio.timeout_at(end):
            found = await asyncio.get_running_loop().getaddrinfo(name, address.port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise NotReachedError(Cause.NAME_UNKNOWN, f"{name}: the name service did not answer in time") from None
    except (OSError, UnicodeError) as error:  # the name codec refuses some names
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise NotReachedError(Cause.NAME_UNKNOWN, f"{name}: {why}") from None
    hosts = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    said = f"{name} is {', '.join(hosts)}" if isinstance(address.host, Domain) else f"{name}, no name to resolve"
    report.passed(said, addresses=hosts)
    return [SocketAddress(host, address.port) for host in hosts]


async def first_to_answer(
    addresses: Sequence[SocketAddress], end: float, attempt: Callable[[SocketAddress], Awaitable[T]]
) -> tuple[T, str]:
    """What the first attempt to succeed gives, and what became of those before it, as text.

    :param end: the time of the loop at which it is too late; each attempt gets an equal share of what is left.
    :raises NotReachedError: with what each of them said.
    """
    loop = asyncio.get_running_loop()
    causes: list[Cause] = []
    told: list[str] = []
    for position, address in enumerate(addresses):
        share = (end - loop.time()) / (len(addresses) - position)
        try:
            async with asyncio.timeout(share):
                return await attempt(address), "".join(f"; before it {each}" for each in told)
        except TimeoutError:
            causes.append(Cause.NO_ANSWER)
            told.append(f"{text_of(address)} did not answer within {share:.1f} s")
        except ConnectionRefusedError:
            causes.append(Cause.REFUSED)
            told.append(f"{text_of(address)} refused")
        except OSError as error:
            causes.append(Cause.UNREACHABLE)
            told.append(f"{text_of(address)}: {os.strerror(error.errno) if error.errno else error}")
    raise NotReachedError(next(cause for cause in _MOST_TELLING if cause in causes), "; ".join(told))


def text_of(address: SocketAddress) -> str:
    """``host:port``, with an IPv6 host in brackets."""
    return f"[{address.host}]:{address.port}" if ":" in address.host else f"{address.host}:{address.port}"
