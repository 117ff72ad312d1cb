"""What is particular to one network: constants, genesis, and the ids that follow from them.

Every constant of the protocol that a p2p node needs is a field of `NetworkConfig`;
`MAINNET` and `DEVNET` are the public ones, and a private network is a copy with
other values (``MAINNET.replace(…)``). Source: spec wire-types 3.5 and 4.1.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import blake2b, md5
from typing import Final

from mina_p2p.identity import ChainId
from mina_p2p.mina.text import STATE_HASH
from mina_p2p.record import Record, record


@record
class NetworkConfig(Record):
    """The constants of one network. Times are in milliseconds, slots count from the last hard fork."""

    name: str
    genesis_state_hash: bytes
    genesis_timestamp_ms: int
    constraint_system_digests: tuple[str, ...]
    """Hex digests of the circuits: transaction, merge, blockchain."""
    fork_blockchain_length: int
    """Height of the last block before the hard fork."""
    fork_slot_since_genesis: int
    k: int = 290
    """After how many blocks one is final."""
    slots_per_epoch: int = 7140
    slots_per_sub_window: int = 7
    sub_windows_per_window: int = 11
    grace_period_slots: int = 2160
    delta: int = 0
    slot_ms: int = 180_000
    tx_pool_max_size: int = 3000
    protocol_transaction_version: int = 3
    protocol_network_version: int = 3
    header_transaction_version: int = 3
    """In the version that block headers carry, which is another number than the one above."""
    header_network_version: int = 0

    @property
    def slots_per_window(self) -> int:
        """Slots over which density is measured."""
        return self.slots_per_sub_window * self.sub_windows_per_window

    @property
    def grace_period_end(self) -> int:
        """The first slot whose density counts."""
        return self.grace_period_slots + self.slots_per_window

    @property
    def constants_hash(self) -> str:
        """Hex digest of the constants, a part of the chain id."""
        genesis = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=self.genesis_timestamp_ms)
        numbers = (self.k, self.slots_per_epoch, self.slots_per_sub_window, self.delta, self.tx_pool_max_size)
        text = "".join(map(str, numbers)) + genesis.strftime("%Y-%m-%d %H:%M:%S.%fZ")
        return blake2b(text.encode(), digest_size=32).hexdigest()

    @property
    def chain_id(self) -> ChainId:
        """The id that keeps nodes of different networks apart."""
        parts = (
            STATE_HASH.text(self.genesis_state_hash),
            *self.constraint_system_digests,
            self.constants_hash,
            _md5(self.protocol_transaction_version),
            _md5(self.protocol_network_version),
        )
        return ChainId(blake2b("".join(parts).encode(), digest_size=32).digest())

    @property
    def preshared_key(self) -> bytes:
        """The key that closes the libp2p network to others."""
        return blake2b(b"/coda/0.0.1/" + self.chain_id.hex().encode(), digest_size=32).digest()

    def global_slot(self, time_ms: int) -> int:
        """The slot since the hard fork at a time since the Unix epoch; negative before genesis."""
        return (time_ms - self.genesis_timestamp_ms) // self.slot_ms

    def slot_since_genesis(self, global_slot: int) -> int:
        """The same slot, counted from the first genesis."""
        return global_slot + self.fork_slot_since_genesis

    def epoch_and_slot(self, global_slot: int) -> tuple[int, int]:
        """The epoch, and the slot in it."""
        return divmod(global_slot, self.slots_per_epoch)


def _md5(version: int) -> str:
    return md5(str(version).encode(), usedforsecurity=False).hexdigest()


MAINNET: Final = NetworkConfig(
    name="mainnet",
    genesis_state_hash=STATE_HASH.parse("3NK4BpDSekaqsG6tx8Nse2zJchRft2JpnbvMiog55WCr5xJZaKeP"),
    genesis_timestamp_ms=1_717_545_600_000,
    constraint_system_digests=(
        "b8879f677f622a1d86648030701f43e1",
        "d31948e661cc662675b0c079458f714a",
        "14ab5562ed292de7a3deb9e12f00aec0",
    ),
    fork_blockchain_length=359_604,
    fork_slot_since_genesis=564_480,
)
"""The public network since its hard fork of June 2024."""

DEVNET: Final = NetworkConfig(
    name="devnet",
    genesis_state_hash=STATE_HASH.parse("3NL93SipJfAMNDBRfQ8Uo8LPovC74mnJZfZYB5SK7mTtkL72dsPx"),
    genesis_timestamp_ms=1_712_696_400_000,
    constraint_system_digests=(
        "b8879f677f622a1d86648030701f43e1",
        "3bf6bb8a97665fe7a9df6fc146e4f942",
        "d024a9ac78d4c93a888b63fc85eeb66a",
    ),
    fork_blockchain_length=296_371,
    fork_slot_since_genesis=445_860,
)
"""The public test network."""
