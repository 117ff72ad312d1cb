"""Noise XX as libp2p has it: who the peer is, and everything after that enciphered.

``Noise_XX_25519_ChaChaPoly_SHA256`` with an empty prologue. Every message is a frame: its length
in two bytes, big-endian, then at most 65535 bytes. The payloads of the second and third message
carry the identity key, its signature over the sender's noise key, and (early muxer negotiation) the muxers
the sender speaks; where both sides send that list, nothing is negotiated inside.

`Handshake` is one side until both know each other, `NoiseTransport` what comes after; neither does I/O.

Source: spec libp2p 5; `libp2p/specs@7740c076 noise/README.md`; The Noise Protocol Framework, revision 34.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from hashlib import sha256
from struct import Struct
from typing import Annotated, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from mina_p2p.errors import DecodeError
from mina_p2p.identity import IdentityError, PeerId
from mina_p2p.record import Record, record
from mina_p2p.wire.notation import MaxItems
from mina_p2p.wire.protobuf import Number, protobuf
from mina_p2p_effects.keys import SecretKey, verify
from mina_p2p_effects.transports.libp2p.faults import Fault, LayerError

KEY_BYTES: Final = 32
TAG_BYTES: Final = 16
HEADER_BYTES: Final = 2
FRAME_BYTES_MAX: Final = 0xFFFF
PLAINTEXT_BYTES_MAX: Final = FRAME_BYTES_MAX - TAG_BYTES
"""Most that one frame carries."""
HANDSHAKE_BYTES_MAX: Final = 4096
"""Longest handshake message that is taken from a peer who has not proved anything; real ones have about 200 bytes."""
MUXERS_MAX: Final = 100
"""Longest list of muxers, as in Go."""

_PROTOCOL_NAME: Final = b"Noise_XX_25519_ChaChaPoly_SHA256"
_SIGNATURE_PREFIX: Final = b"noise-libp2p-static-key:"
_NONCE: Final = Struct("<4xQ")
_LENGTH: Final = Struct(">H")
_START: Final = sha256(_PROTOCOL_NAME).digest()  # the name, which has 32 bytes, mixed with the empty prologue


@record
class NoiseExtensions(Record):
    """What libp2p adds to a payload."""

    stream_muxers: Annotated[tuple[str, ...], Number(2), MaxItems(MUXERS_MAX)] = ()


@record
class NoisePayload(Record):
    """What the second and the third message carry."""

    identity_key: Annotated[bytes, Number(1)]
    identity_sig: Annotated[bytes, Number(2)]
    extensions: Annotated[NoiseExtensions | None, Number(4)] = None


_PAYLOAD: Final = protobuf(NoisePayload)


class NoiseTransport:
    """An established session: plaintext to frames and back."""

    __slots__ = ("_buffer", "_receive", "_received", "_send", "_sent")

    def __init__(self, send_key: bytes, receive_key: bytes) -> None:
        self._send = ChaCha20Poly1305(send_key).encrypt
        self._receive = ChaCha20Poly1305(receive_key).decrypt
        self._sent = 0
        self._received = 0
        self._buffer = bytearray()

    @property
    def buffered(self) -> int:
        """Bytes of an unfinished frame."""
        return len(self._buffer)

    def encrypt(self, plaintexts: Iterable[bytes]) -> bytes:
        """Frames for plaintexts of at most `PLAINTEXT_BYTES_MAX` each, one behind the other."""
        send, pack = self._send, _LENGTH.pack
        counter = self._sent
        frames: list[bytes] = []
        for plaintext in plaintexts:
            frames.append(pack(len(plaintext) + TAG_BYTES))
            frames.append(send(_NONCE.pack(counter), plaintext, None))
            counter += 1
        self._sent = counter
        return b"".join(frames)

    def decrypt(self, data: bytes) -> list[bytes]:
        """Take what arrived; return the plaintexts of the frames that are complete now.

        :raises LayerError: ``NOISE_CHUNK_TOO_SHORT`` or ``NOISE_MAC_MISMATCH``; nothing of that piece counts then.
        """
        view = memoryview(data)
        position, size = 0, len(data)
        plaintexts: list[bytes] = []
        if self._buffer:
            position = self._complete(view)
            if position < 0:
                return plaintexts
            with memoryview(self._buffer) as frame:
                plaintexts.append(self._open(frame[HEADER_BYTES:]))
            self._buffer.clear()
        while size - position >= HEADER_BYTES:
            end = position + HEADER_BYTES + _length(data[position], data[position + 1])
            if end > size:
                break
            plaintexts.append(self._open(view[position + HEADER_BYTES : end]))
            position = end
        self._buffer += view[position:]
        return plaintexts

    def _complete(self, view: memoryview) -> int:
        """Fill the unfinished frame up; the position behind what that took, or -1 where it is still unfinished."""
        buffer = self._buffer
        position = 0
        if len(buffer) < HEADER_BYTES:
            if not view:
                return -1
            buffer += view[:1]
            position = 1
        end = position + HEADER_BYTES + _length(buffer[0], buffer[1]) - len(buffer)
        buffer += view[position:end]
        return end if end <= len(view) else -1

    def _open(self, ciphertext: memoryview) -> bytes:
        try:
            plaintext = self._receive(_NONCE.pack(self._received), ciphertext, None)
        except InvalidTag:
            raise LayerError(Fault.NOISE_MAC_MISMATCH, "a transport frame") from None
        self._received += 1
        return plaintext


def _length(high: int, low: int) -> int:
    length = high << 8 | low
    if length < TAG_BYTES:
        raise LayerError(Fault.NOISE_CHUNK_TOO_SHORT, f"a frame of {length} bytes")
    return length


class Established:
    """What a handshake led to."""

    __slots__ = ("early_muxer", "handshake_hash", "peer_id", "rest", "transport")

    def __init__(self, peer_id: PeerId, transport: NoiseTransport, early_muxer: str | None, rest: bytes, handshake_hash: bytes) -> None:
        self.peer_id = peer_id
        """Proved by the peer."""
        self.transport = transport
        self.early_muxer = early_muxer
        """The muxer that both payloads settled; ``None`` leaves it to multistream."""
        self.rest = rest
        """Bytes of transport frames that came with the handshake."""
        self.handshake_hash = handshake_hash
        """The same on both sides, and on no other session."""


class Handshake:
    """One side of the handshake.

    :param secret_key: this node's identity.
    :param static: 32 random bytes, for this connection only; the noise key.
    :param ephemeral: 32 more.
    :param expected: who must answer; ``None`` accepts anybody but ourselves.
    :param muxers: what we speak, best first, for early negotiation; empty to leave it to multistream.
    """

    __slots__ = (
        "_buffer",
        "_chaining_key",
        "_cipher",
        "_ephemeral",
        "_expected",
        "_hash",
        "_is_initiator",
        "_muxers",
        "_nonce",
        "_remote_ephemeral",
        "_secret_key",
        "_static",
        "_step",
        "to_send",
    )

    def __init__(
        self,
        secret_key: SecretKey,
        *,
        is_initiator: bool,
        static: bytes,
        ephemeral: bytes,
        expected: PeerId | None = None,
        muxers: Sequence[str] = (),
    ) -> None:
        self._secret_key = secret_key
        self._is_initiator = is_initiator
        self._static = X25519PrivateKey.from_private_bytes(static)
        self._ephemeral = X25519PrivateKey.from_private_bytes(ephemeral)
        self._expected = expected
        self._muxers = tuple(muxers)
        self._remote_ephemeral: X25519PublicKey | None = None
        self._hash = _START
        self._chaining_key = _PROTOCOL_NAME
        self._cipher = ChaCha20Poly1305(bytes(KEY_BYTES))  # used only once a key was mixed in
        self._nonce = 0
        self._buffer = bytearray()
        self._step = 1 if is_initiator else 0  # messages that have passed
        self.to_send = bytearray()
        if is_initiator:
            public = self._ephemeral.public_key().public_bytes_raw()
            self._mix_hash(public)
            self._mix_hash(b"")
            self._put(public)

    def receive(self, data: bytes) -> Established | None:
        """Take bytes; answer in ``to_send``.

        :returns: what was established, once both sides have proved themselves.
        :raises LayerError: where the peer did not, or is not the one expected.
        """
        self._buffer += data
        while len(self._buffer) >= HEADER_BYTES:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > HANDSHAKE_BYTES_MAX:
                raise LayerError(Fault.NOISE_PAYLOAD_MALFORMED, f"a handshake message of {length} bytes")
            end = HEADER_BYTES + length
            if len(self._buffer) < end:
                return None
            message = bytes(self._buffer[HEADER_BYTES:end])
            del self._buffer[:end]
            established = self._take(message)
            if established is not None:
                return established
        return None

    # --- the three messages

    def _take(self, message: bytes) -> Established | None:
        if self._step == 0:
            self._take_first(message)
            return None
        if self._step == 1:
            return self._take_second(message)
        return self._take_third(message)

    def _take_first(self, message: bytes) -> None:
        remote = self._take_ephemeral(message, 0)
        # The first payload travels in clear and means nothing, but it is part of what both sides have seen.
        self._mix_hash(message[KEY_BYTES:])
        public = self._ephemeral.public_key().public_bytes_raw()
        self._mix_hash(public)
        self._mix_key(self._ephemeral, remote)
        static = self._seal(self._static.public_key().public_bytes_raw())
        self._mix_key(self._static, remote)
        self._put(public + static + self._seal(self._payload()))
        self._step = 2

    def _take_second(self, message: bytes) -> Established:
        remote = self._take_ephemeral(message, KEY_BYTES + 2 * TAG_BYTES)
        self._mix_key(self._ephemeral, remote)
        remote_static, raw_static = self._take_static(message[KEY_BYTES : 2 * KEY_BYTES + TAG_BYTES])
        self._mix_key(self._ephemeral, remote_static)
        peer_id, their_muxers = self._judge(self._open(message[2 * KEY_BYTES + TAG_BYTES :], "payload"), raw_static)
        static = self._seal(self._static.public_key().public_bytes_raw())
        self._mix_key(self._static, remote)
        self._put(static + self._seal(self._payload()))
        return self._established(peer_id, _first_common(self._muxers, their_muxers))

    def _take_third(self, message: bytes) -> Established:
        remote = self._remote_ephemeral
        if len(message) < KEY_BYTES + 2 * TAG_BYTES or remote is None:
            raise LayerError(Fault.NOISE_CHUNK_TOO_SHORT, f"a third message of {len(message)} bytes")
        remote_static, raw_static = self._take_static(message[: KEY_BYTES + TAG_BYTES])
        self._mix_key(self._ephemeral, remote_static)
        peer_id, their_muxers = self._judge(self._open(message[KEY_BYTES + TAG_BYTES :], "payload"), raw_static)
        return self._established(peer_id, _first_common(their_muxers, self._muxers))

    def _take_ephemeral(self, message: bytes, more: int) -> X25519PublicKey:
        if len(message) < KEY_BYTES + more:
            raise LayerError(Fault.NOISE_CHUNK_TOO_SHORT, f"a message of {len(message)} bytes")
        raw = message[:KEY_BYTES]
        self._mix_hash(raw)
        self._remote_ephemeral = X25519PublicKey.from_public_bytes(raw)
        return self._remote_ephemeral

    def _take_static(self, sealed: bytes) -> tuple[X25519PublicKey, bytes]:
        raw = self._open(sealed, "noise key")
        return X25519PublicKey.from_public_bytes(raw), raw

    def _established(self, peer_id: PeerId, early_muxer: str | None) -> Established:
        to_responder, to_initiator = _hkdf(self._chaining_key, b"")
        mine, theirs = (to_responder, to_initiator) if self._is_initiator else (to_initiator, to_responder)
        rest = bytes(self._buffer)
        self._buffer.clear()
        return Established(peer_id, NoiseTransport(mine, theirs), early_muxer, rest, self._hash)

    # --- identity

    def _payload(self) -> bytes:
        signature = self._secret_key.sign(_SIGNATURE_PREFIX + self._static.public_key().public_bytes_raw())
        extensions = NoiseExtensions(self._muxers) if self._muxers else None
        return _PAYLOAD.encode(NoisePayload(self._secret_key.peer_id.protobuf, signature, extensions))

    def _judge(self, raw: bytes, noise_key: bytes) -> tuple[PeerId, tuple[str, ...]]:
        """Who sent this payload, proved, and the muxers it names."""
        try:
            payload = _PAYLOAD.decode(raw)
        except DecodeError as error:
            raise LayerError(Fault.NOISE_PAYLOAD_MALFORMED, str(error)) from None
        try:
            peer_id = PeerId.from_protobuf(payload.identity_key)
        except IdentityError as error:
            raise LayerError(Fault.BAD_PUBLIC_KEY, str(error)) from None
        if not verify(peer_id, _SIGNATURE_PREFIX + noise_key, payload.identity_sig):
            raise LayerError(Fault.INVALID_SIGNATURE)
        if peer_id == self._secret_key.peer_id:
            raise LayerError(Fault.SELF_CONNECTION)
        if self._expected is not None and peer_id != self._expected:
            raise LayerError(Fault.PEER_ID_MISMATCH, peer_id.libp2p)
        return peer_id, payload.extensions.stream_muxers if payload.extensions is not None else ()

    # --- the symmetric state

    def _mix_hash(self, data: bytes) -> None:
        self._hash = sha256(self._hash + data).digest()

    def _mix_key(self, private: X25519PrivateKey, public: X25519PublicKey) -> None:
        try:
            secret = private.exchange(public)
        except ValueError:  # a point of small order
            raise LayerError(Fault.BAD_PUBLIC_KEY, "a noise key of small order") from None
        self._chaining_key, key = _hkdf(self._chaining_key, secret)
        self._cipher = ChaCha20Poly1305(key)
        self._nonce = 0

    def _seal(self, plaintext: bytes) -> bytes:
        sealed = self._cipher.encrypt(_NONCE.pack(self._nonce), plaintext, self._hash)
        self._nonce += 1
        self._mix_hash(sealed)
        return sealed

    def _open(self, sealed: bytes, what: str) -> bytes:
        try:
            plaintext = self._cipher.decrypt(_NONCE.pack(self._nonce), sealed, self._hash)
        except InvalidTag:
            raise LayerError(Fault.NOISE_MAC_MISMATCH, f"the {what} of the handshake") from None
        self._nonce += 1
        self._mix_hash(sealed)
        return plaintext

    def _put(self, message: bytes) -> None:
        self.to_send += _LENGTH.pack(len(message))
        self.to_send += message


def _hkdf(chaining_key: bytes, material: bytes) -> tuple[bytes, bytes]:
    """The first two outputs of Noise's HKDF."""
    secret = hmac.digest(chaining_key, material, "sha256")
    first = hmac.digest(secret, b"\x01", "sha256")
    return first, hmac.digest(secret, first + b"\x02", "sha256")


def _first_common(initiators: Iterable[str], responders: Sequence[str]) -> str | None:
    """The muxer that both sides compute from the two lists."""
    return next((muxer for muxer in initiators if muxer in responders), None)
