"""pnet: every byte of a connection XORed with a key stream of the network's pre-shared key.

Each direction begins with 24 random bytes in clear, then data XOR XSalsa20(key, nonce) from
position 0 on for the life of the connection. It authenticates nothing: with another key the
peer's bytes are noise, which the layer above meets as a malformed token.

XSalsa20 is Salsa20 with the key HSalsa20(key, nonce[0:16]) and the nonce nonce[16:24]. Salsa20
is pycryptodome's, the extra ``libp2p``; HSalsa20 is here, once per direction and connection.

Source: spec libp2p 3; the functions are D. J. Bernstein's, "Extending the Salsa20 nonce".
"""

from __future__ import annotations

from importlib import import_module
from struct import Struct
from typing import Any, Final

from mina_p2p.errors import CallerError

NONCE_BYTES: Final = 24

_SIGMA: Final = Struct("<4I").unpack(b"expand 32-byte k")
_4_WORDS: Final = Struct("<4I")
_8_WORDS: Final = Struct("<8I")
_MASK: Final = 0xFFFFFFFF

_COLUMNS: Final = ((0, 4, 8, 12), (5, 9, 13, 1), (10, 14, 2, 6), (15, 3, 7, 11))
_ROWS: Final = ((0, 1, 2, 3), (5, 6, 7, 4), (10, 11, 8, 9), (15, 12, 13, 14))
_ROUNDS: Final = (_COLUMNS + _ROWS) * 10


def hsalsa20(key: bytes, nonce: bytes) -> bytes:
    """The 32-byte subkey for a key of 32 bytes and a nonce of 16."""
    k = _8_WORDS.unpack(key)
    n = _4_WORDS.unpack(nonce)
    x = [_SIGMA[0], *k[:4], _SIGMA[1], *n, _SIGMA[2], *k[4:], _SIGMA[3]]
    for a, b, c, d in _ROUNDS:
        xa, xc, xd = x[a], x[c], x[d]
        s = xa + xd & _MASK
        xb = x[b] ^ (s << 7 & _MASK | s >> 25)
        s = xb + xa & _MASK
        xc ^= s << 9 & _MASK | s >> 23
        s = xc + xb & _MASK
        xd ^= s << 13 & _MASK | s >> 19
        s = xd + xc & _MASK
        x[a] = xa ^ (s << 18 & _MASK | s >> 14)
        x[b], x[c], x[d] = xb, xc, xd
    return _8_WORDS.pack(x[0], x[5], x[10], x[15], x[6], x[7], x[8], x[9])


def xsalsa20(key: bytes, nonce: bytes) -> Any:
    """A cipher whose ``encrypt(data)`` XORs ``data`` with the key stream and moves on.

    :raises CallerError: where the extra ``libp2p`` is not installed.
    """
    try:
        salsa20 = import_module("Crypto.Cipher.Salsa20")
    except ImportError as error:
        raise CallerError("private networks of libp2p need pycryptodome: pip install 'mina-p2p[libp2p]'") from error
    return salsa20.new(hsalsa20(key, nonce[:16]), nonce[16:])


class Pnet:
    """Both directions of one connection.

    :param key: the 32 bytes of `ChainId.libp2p_network_key`.
    :param nonce: 24 random bytes for what we send; sent in front of the first bytes.
    """

    __slots__ = ("_key", "_peer_nonce", "_received", "_sending", "_unsent_nonce")

    def __init__(self, key: bytes, nonce: bytes) -> None:
        self._key = key
        self._unsent_nonce = nonce
        self._sending = xsalsa20(key, nonce)
        self._peer_nonce = bytearray()
        self._received: Any = None

    def send(self, data: bytes) -> bytes:
        """What to put on the wire for ``data``."""
        enciphered: bytes = self._sending.encrypt(data)
        if self._unsent_nonce:
            enciphered, self._unsent_nonce = self._unsent_nonce + enciphered, b""
        return enciphered

    def receive(self, data: bytes) -> bytes:
        """What the wire's ``data`` means; nothing while the peer's nonce is incomplete."""
        if self._received is None:
            missing = NONCE_BYTES - len(self._peer_nonce)
            self._peer_nonce += data[:missing]
            if len(self._peer_nonce) < NONCE_BYTES:
                return b""
            self._received = xsalsa20(self._key, bytes(self._peer_nonce))
            data = data[missing:]
        deciphered: bytes = self._received.encrypt(data)
        return deciphered
