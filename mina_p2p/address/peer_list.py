"""Peer lists: the files and URL bodies that name the first peers of a network.

One address a line; blank lines and lines that begin with ``#`` are skipped. What
can not be read is reported with its line number and the rest is used. An error
page that came instead of a list is therefore a list of problems and no addresses;
whoever loads a list keeps the old one then.

Source: spec operator-conventions A5.
"""

from __future__ import annotations

from typing import Final

from mina_p2p.address.dial import DialAddress, parse_address
from mina_p2p.address.errors import AddressError, AddressReason
from mina_p2p.record import Record, record

PEER_LIST_LENGTH_MAX: Final = 1024 * 1024
"""Characters of a peer list; read no more than this from a URL."""

PEER_LIST_ADDRESSES_MAX: Final = 4096
PEER_LIST_PROBLEMS_MAX: Final = 64


@record
class PeerListProblem(Record):
    """A line that is no address."""

    line: int
    """Counted from 1."""
    reason: AddressReason
    detail: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.detail}"


@record
class PeerList(Record):
    """What a peer list says."""

    addresses: tuple[DialAddress, ...]
    """In the order of the file, without repetitions."""
    problems: tuple[PeerListProblem, ...]
    """The first `PEER_LIST_PROBLEMS_MAX` of them."""
    problem_count: int
    """All of them."""


def parse_peer_list(text: str) -> PeerList:
    """Read a peer list.

    The part of the text beyond `PEER_LIST_LENGTH_MAX` characters and addresses beyond
    `PEER_LIST_ADDRESSES_MAX` are not used, which is reported as a problem too.
    """
    addresses: dict[DialAddress, None] = {}
    problems: list[PeerListProblem] = []
    problem_count = 0

    def report(line: int, reason: AddressReason, detail: str) -> None:
        nonlocal problem_count
        problem_count += 1
        if len(problems) < PEER_LIST_PROBLEMS_MAX:
            problems.append(PeerListProblem(line, reason, detail))

    lines = text[:PEER_LIST_LENGTH_MAX].removeprefix("\ufeff").split("\n")
    if len(text) > PEER_LIST_LENGTH_MAX:
        lines.pop()  # perhaps only the beginning of an address
        report(len(lines) + 1, AddressReason.TOO_LONG, f"the list has more than {PEER_LIST_LENGTH_MAX} characters; it is used up to here")
    for number, line in enumerate(lines, 1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        if len(addresses) == PEER_LIST_ADDRESSES_MAX:
            report(number, AddressReason.TOO_LONG, f"the list has more than {PEER_LIST_ADDRESSES_MAX} addresses; it is used up to here")
            break
        try:
            addresses[parse_address(entry)] = None
        except AddressError as error:
            report(number, error.reason, error.detail)
    return PeerList(tuple(addresses), tuple(problems), problem_count)
