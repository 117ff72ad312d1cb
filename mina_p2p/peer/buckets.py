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

from mina_p2p.address import DialAddress, Host, HostScope, address_group, dial_host, host_scope
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
        return str(address) if host is None else _group(host, self.ipv4_bits, self.ipv6_bits) or str(address)

    def new_bucket(self, address: DialAddress, told_in: str) -> int:
        """Where an address belongs that was told in a network."""
        return _bucket(self.salt, f"new {told_in}", self.group_of(address), self.new_buckets_per_source, self.new_buckets)

    def tried_bucket(self, address: DialAddress) -> int:
        """Where an address belongs that was reached."""
        owner = f"tried {self.group_of(address)}"
        return _bucket(self.salt, owner, address.peer_id.hex(), self.tried_buckets_per_group, self.tried_buckets)


@lru_cache(maxsize=8_192)  # asked of every address that is named, and of all that are drawn from
def _group(host: Host, ipv4_bits: int, ipv6_bits: int) -> str | None:
    return address_group(host, ipv4_bits, ipv6_bits) if host_scope(host) in _BOUNDED else None


@lru_cache(maxsize=8_192)  # asked by the guard and again by the reducer, and for every change of place
def _bucket(salt: bytes, owner: str, member: str, per_owner: int, buckets: int) -> int:
    """One of the few buckets of an owner, by its member."""
    share = _hash(salt, f"{owner} {member}") % per_owner
    return _hash(salt, f"{owner} / {share}") % buckets


def _hash(salt: bytes, text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8, key=salt).digest(), "big")


_NOBODY: Final[Table[PeerNumber, None]] = empty_table()
_NONE: Final[Table[int, None]] = empty_table()


@record
class Buckets(Record):
    """One of the two tables: who is in which bucket, and who of them waits to be dialled."""

    members: Table[int, Table[PeerNumber, None]] = empty_table()
    dialable: Table[int, Table[PeerNumber, None]] = empty_table()
    by_size: Table[int, Table[int, None]] = empty_table()
    """Buckets by how many are in them."""
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
        dialable = self.dialable
        if is_dialable != (number in waiting):
            dialable = _with(dialable, bucket, waiting.set(number, None) if is_dialable else waiting.delete(number))
        if number in there:
            return self.replace(dialable=dialable)
        size = len(there)
        return Buckets(self.members.set(bucket, there.set(number, None)), dialable, self._resized(bucket, size, size + 1), self.count + 1)

    def remove(self, bucket: int, number: PeerNumber) -> Buckets:
        """Without a member, which must be there."""
        there = self.members[bucket]
        waiting = self.dialable.get(bucket, _NOBODY)
        return Buckets(
            _with(self.members, bucket, there.delete(number)),
            _with(self.dialable, bucket, waiting.delete(number)) if number in waiting else self.dialable,
            self._resized(bucket, len(there), len(there) - 1),
            self.count - 1,
        )

    def _resized(self, bucket: int, before: int, after: int) -> Table[int, Table[int, None]]:
        by_size = self.by_size
        if before:
            others = by_size[before].delete(bucket)
            by_size = by_size.set(before, others) if others else by_size.delete(before)
        return by_size.set(after, by_size.get(after, _NONE).set(bucket, None)) if after else by_size

    def most_crowded(self) -> int:
        """The bucket with the most members, the first of several; there must be one."""
        return min(self.by_size[max(self.by_size)])


def _with(buckets: Table[int, Table[PeerNumber, None]], bucket: int, there: Table[PeerNumber, None]) -> Table[int, Table[PeerNumber, None]]:
    return buckets.set(bucket, there) if there else buckets.discard(bucket)
