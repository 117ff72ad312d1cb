"""Stateless resets (RFC 9000 10.3): a node that lost its connections, by a restart, can tell its peers so.

A token follows from a connection id and a key that the node has again after a restart. It
is told to the peer inside the connection. Later the node answers a packet that belongs to no
connection with random bytes that end in the token of the id it was sent to; nobody else can.
"""

from __future__ import annotations

import secrets
from hashlib import blake2b

from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.transports.quic.aioquic_hooks import CONNECTION_ID_BYTES

TOKEN_BYTES = 16
RESET_BYTES_MIN = 21
_RESET_BYTES_MAX = 41
_KEY_CONTEXT = b"mina-p2p: key of stateless reset tokens"


def reset_key(host_key: SecretKey) -> bytes:
    """The key of a node's tokens, the same in each of its runs. A signature of ed25519 is deterministic, and this one is never shown."""
    return blake2b(host_key.sign(_KEY_CONTEXT), digest_size=32).digest()


def reset_token(key: bytes, connection_id: bytes) -> bytes:
    """The token of one connection id."""
    return blake2b(connection_id, key=key, digest_size=TOKEN_BYTES).digest()


class StatelessResets:
    """Answers to packets of unknown connections.

    :param per_second_max: answers within a second; a flood of such packets is not worth more.
    """

    def __init__(self, key: bytes, per_second_max: int) -> None:
        self._key = key
        self._per_second_max = per_second_max
        self._second = 0.0
        self._count = 0

    def answer(self, data: bytes, now: float) -> bytes | None:
        """What to send back for a packet with a short header; always shorter than it, so that two nodes can not keep each other busy."""
        size = min(len(data) - 1, _RESET_BYTES_MAX)
        if size < RESET_BYTES_MIN:
            return None
        if now - self._second >= 1:
            self._second, self._count = now, 0
        if self._count >= self._per_second_max:
            return None
        self._count += 1
        noise = bytearray(secrets.token_bytes(size - TOKEN_BYTES))
        noise[0] = 0x40 | noise[0] & 0x3F  # as a packet with a short header begins
        return bytes(noise) + reset_token(self._key, data[1 : 1 + CONNECTION_ID_BYTES])
