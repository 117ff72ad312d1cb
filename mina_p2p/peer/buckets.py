"""Buckets: how much of the peer table one owner of many addresses can have (after Bitcoin Core's ``addrman``).

A record that a person did not name is in one of two tables: *new*, what was heard of, and *tried*, what this node has reached by a
dial of its own. Both are cut into buckets by a keyed hash, whose key no peer knows:

* in *new* by the network of who told and the network of what was told, so that all that one network tells lands in
  ``new_buckets_per_source`` buckets, whatever it invents;
* in *tried* by the network of the address, so that all that one network runs lands in ``tried_buckets_per_group`` buckets.

A peer to dial is drawn by bucket first, then by network, then by address: ten thousand addresses of one network have no more
chances than its few buckets. Unlike Bitcoin Core's, a bucket has no size of its own, so that a small network of few owners may use
the whole table; a full table takes from its most crowded bucket instead.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Final

from mina_p2p.address import DialAddress, HostScope, address_group, dial_host, host_scope
from mina_p2p.ids import PeerNumber
from mina_p2p.record import Record, record
from mina_p2p.table import Table, empty_table

_BOUNDED: Final = (HostScope.GLOBAL, HostScope.NAME)


@record
class Shape(Record):
    """Of what buckets the tables are made."""

    salt: bytes
    """16 bytes that no peer knows: who knows them can aim at a bucket."""
    new_max: int
    new_buckets: int
    new_buckets_per_source: int
    tried_max: int
    tried_buckets: int
    tried_buckets_per_group: int
    ipv4_bits: int
    ipv6_bits: int

    def group_of(self, address: DialAddress) -> str:
        """The network of an address. In private ranges every host is one of its own: all neighbours are of one owner there."""
        host = dial_host(address)
        if host is None:
            return str(address)
        return address_group(host, self.ipv4_bits, self.ipv6_bits) if host_scope(host) in _BOUNDED else str(address)

    def new_bucket(self, address: DialAddress, told_in: str) -> int:
        """Where an address belongs that was told in a network."""
        return _bucket(self.salt, f"new {told_in}", self.group_of(address), self.new_buckets_per_source, self.new_buckets)

    def tried_bucket(self, address: DialAddress) -> int:
        """Where an address belongs that was reached."""
        return _bucket(self.salt, f"tried {self.group_of(address)}", str(address), self.tried_buckets_per_group, self.tried_buckets)


@lru_cache(maxsize=8_192)  # asked by the guard and again by the reducer, and for every change of place
def _bucket(salt: bytes, owner: str, member: str, per_owner: int, buckets: int) -> int:
    """One of the few buckets of an owner, by its member."""
    share = _hash(salt, f"{owner} {member}") % per_owner
    return _hash(salt, f"{owner} / {share}") % buckets


def _hash(salt: bytes, text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8, key=salt).digest(), "big")


_NOBODY: Final[Table[PeerNumber, None]] = empty_table()


@record
class Buckets(Record):
    """One of the two tables: who is in which bucket, and who of them waits to be dialled."""

    members: Table[int, Table[PeerNumber, None]] = empty_table()
    dialable: Table[int, Table[PeerNumber, None]] = empty_table()
    count: int = 0

    def __len__(self) -> int:
        return self.count

    def size(self, bucket: int) -> int:
        """How many are in a bucket."""
        return len(self.members.get(bucket, _NOBODY))

    def put(self, bucket: int, number: PeerNumber, *, is_dialable: bool) -> Buckets:
        """With a member, new or not."""
        there = self.members.get(bucket, _NOBODY)
        waiting = self.dialable.get(bucket, _NOBODY)
        grown = self
        if number not in there:
            grown = self.replace(members=self.members.set(bucket, there.set(number, None)), count=self.count + 1)
        if is_dialable == (number in waiting):
            return grown
        return grown.replace(dialable=_with(self.dialable, bucket, waiting.set(number, None) if is_dialable else waiting.delete(number)))

    def remove(self, bucket: int, number: PeerNumber) -> Buckets:
        """Without a member, which must be there."""
        waiting = self.dialable.get(bucket, _NOBODY)
        return Buckets(
            _with(self.members, bucket, self.members[bucket].delete(number)),
            _with(self.dialable, bucket, waiting.delete(number)) if number in waiting else self.dialable,
            self.count - 1,
        )

    def most_crowded(self) -> int:
        """The bucket with the most members, the first of several; there must be one."""
        return max(self.members, key=lambda bucket: (len(self.members[bucket]), -bucket))


def _with(buckets: Table[int, Table[PeerNumber, None]], bucket: int, there: Table[PeerNumber, None]) -> Table[int, Table[PeerNumber, None]]:
    return buckets.set(bucket, there) if there else buckets.discard(bucket)
