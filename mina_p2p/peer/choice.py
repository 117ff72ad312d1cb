"""Whom to dial: anchors of the last run first, then half of the draws from what was reached before, half from what was heard of.

A draw is of a bucket, then of a network in it, then of an address, each with equal chances (`mina_p2p.peer.buckets`). It is
repeated a few times while it is of no use:

* among the tried, while it names a network with which an outgoing connection is already: eight with one owner are worth no more
  than one;
* among the new, also while it names a network of which somebody was reached before. So what is heard of is there to find new
  networks, in which an owner of many addresses has nothing to offer once one of its addresses in each was reached; where
  there are none to be found, the draw is among the tried after all.

What persons named is a third of the draws where there is anything else.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from mina_p2p.ids import PeerNumber
from mina_p2p.peer.buckets import Buckets
from mina_p2p.peer.state import Peers
from mina_p2p.prng import Random


def choose(peers: Peers, networks: Container[str], draws_max: int) -> tuple[PeerNumber, Random]:
    """Somebody that waits to be dialled; there must be one.

    :param networks: those in which an outgoing connection is.
    :param draws_max: so many draws of a table, before one is taken that is of little use.
    """
    random = peers.random
    if peers.anchors and (first := next((n for n in peers.anchors if n in peers.dialable), None)) is not None:
        return first, random
    options = [table for table in (peers.new.dialable, peers.tried.dialable, peers.given) if table]
    table = options[0]
    if len(options) > 1:
        table, random = random.choice(options)
    if table is peers.given:
        return random.choice(peers.given.keys())
    if table is peers.new.dialable:
        number, random, is_useful = _from_new(peers, random, networks, draws_max)
        if is_useful or not peers.tried.dialable:
            return number, random
    return _from_tried(peers, random, networks, draws_max)


def choose_feeler(peers: Peers, draws_max: int) -> tuple[PeerNumber, Random] | None:
    """Whom to test: a reached peer whose place another wants, else somebody that was only heard of; ``None`` without such."""
    for number in peers.contests:
        if number in peers.dialable:
            return number, peers.random
    return _from_new(peers, peers.random, (), draws_max)[:2] if peers.new.dialable else None


def _from_new(peers: Peers, random: Random, networks: Container[str], draws_max: int) -> tuple[PeerNumber, Random, bool]:
    """Somebody, and whether it is of a network that is not known yet."""
    number, options = PeerNumber(0), peers.new.dialable.keys()
    for _ in range(draws_max):
        number, random = _from_buckets(peers, peers.new, options, random)
        address = peers.table[number].address
        if address is not None and not peers.is_network_known(address) and peers.shape.group_of(address) not in networks:
            return number, random, True
    return number, random, False


def _from_tried(peers: Peers, random: Random, networks: Container[str], draws_max: int) -> tuple[PeerNumber, Random]:
    number, options = PeerNumber(0), peers.tried.dialable.keys()
    for _ in range(draws_max):
        number, random = _from_buckets(peers, peers.tried, options, random)
        address = peers.table[number].address
        if address is not None and peers.shape.group_of(address) not in networks:
            break
    return number, random


def _from_buckets(peers: Peers, buckets: Buckets, options: Sequence[int], random: Random) -> tuple[PeerNumber, Random]:
    """Somebody of one of some buckets, which all have somebody that waits."""
    bucket, random = random.choice(options)
    waiting = buckets.dialable[bucket].keys()
    if len(waiting) > 1:
        waiting, random = random.choice(list(peers.by_network(waiting).values()))
    return random.choice(waiting)
