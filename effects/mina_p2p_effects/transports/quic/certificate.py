"""The certificate of the handshake: making ours, judging the peer's.

A node's host key does not sign the handshake itself. A short-lived key does, in a
self-signed certificate that carries the host key and the host key's signature over
the short-lived one (libp2p TLS specification, revision r0, tls/tls.md). What is
allowed there and not needed here is refused: host keys other than ed25519, and any
critical extension but libp2p's own.
"""

from __future__ import annotations

import datetime as dt
import enum
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mina_p2p.errors import MinaP2pError
from mina_p2p.identity import IdentityError, IdentityReason, PeerId
from mina_p2p.record import Record, record
from mina_p2p_effects.keys import SecretKey, verify

EXTENSION_OID: Final = x509.ObjectIdentifier("1.3.6.1.4.1.53594.1.1")
"""The libp2p public key extension."""

SIGNED_PREFIX: Final = b"libp2p-tls-handshake:"
"""Stands before the SubjectPublicKeyInfo in what the host key signs."""

CERTIFICATE_BYTES_MAX: Final = 4096
"""A certificate of ours has about 420 bytes."""

_DER_SEQUENCE: Final = 0x30
_DER_OCTET_STRING: Final = 0x04
_SAFE_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_SAFE_CURVES: Final = (ec.SECP256R1, ec.SECP384R1)

# The key lives no longer than the process, so dates protect nothing; a wide span keeps
# a peer with a wrong clock from refusing us. rust-libp2p uses the same one.
_VALID_FROM: Final = dt.datetime(1975, 1, 1, tzinfo=dt.UTC)
_VALID_UNTIL: Final = dt.datetime(4096, 1, 1, tzinfo=dt.UTC)


class CertificateReason(enum.Enum):
    """Why a peer's certificate was refused."""

    COUNT = "not exactly one certificate"
    MALFORMED = "no X.509 certificate that can be read"
    NOT_YET_VALID = "the validity begins later"
    EXPIRED = "the validity is over"
    CERTIFICATE_KEY = "a kind of certificate key, or a digest, that is not accepted"
    SELF_SIGNATURE = "the certificate's own signature is wrong"
    CRITICAL_EXTENSION = "a critical extension that is not understood"
    EXTENSION_MISSING = "no libp2p extension"
    EXTENSION_REPEATED = "an extension that occurs twice"
    EXTENSION_MALFORMED = "a libp2p extension that can not be read"
    HOST_KEY_TYPE = "a host key that is not ed25519"
    HOST_KEY_REUSED = "the host key itself as the certificate's key"
    HOST_SIGNATURE = "the host key did not sign this certificate's key"


class CertificateError(MinaP2pError):
    """A peer's certificate does not prove an identity."""

    def __init__(self, reason: CertificateReason, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.detail}" if self.detail else self.reason.value


@record
class OwnCertificate(Record):
    """What the TLS engine presents. Holds a private key: `repr` shows neither key nor bytes."""

    certificate: x509.Certificate
    private_key: ec.EllipticCurvePrivateKey

    def __repr__(self) -> str:
        return "<OwnCertificate>"


def make_certificate(host_key: SecretKey) -> OwnCertificate:
    """Make a certificate for ``host_key`` with a fresh P-256 key."""
    private_key = ec.generate_private_key(ec.SECP256R1())
    encoded = _public_key_info(private_key.public_key())
    signed = encode_signed_key(host_key.peer_id.protobuf, host_key.sign(SIGNED_PREFIX + encoded))
    # The specification gives names no meaning; two empty ones tell nothing.
    builder = x509.CertificateBuilder(
        subject_name=x509.Name([]),
        issuer_name=x509.Name([]),
        public_key=private_key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=_VALID_FROM,
        not_valid_after=_VALID_UNTIL,
    ).add_extension(x509.UnrecognizedExtension(EXTENSION_OID, signed), critical=True)
    return OwnCertificate(builder.sign(private_key, hashes.SHA256()), private_key)


def verify_certificates(chain: tuple[bytes, ...], now: dt.datetime) -> PeerId:
    """Check what a peer presented, and return whose it is.

    That the peer holds the certificate's private key is TLS's CertificateVerify, not this.

    :param chain: the DER bytes of every certificate that came.
    :param now: the time to judge validity by; aware.
    :raises CertificateError: with the first reason found; nothing else is raised.
    """
    with _no_warnings():
        certificate = read_certificate(chain)
        return _verify(certificate, now)


def read_certificate(chain: tuple[bytes, ...]) -> x509.Certificate:
    """Read the one certificate of a chain, without judging it.

    :raises CertificateError: ``COUNT`` or ``MALFORMED``.
    """
    if len(chain) != 1:
        raise CertificateError(CertificateReason.COUNT, f"{len(chain)} came")
    if len(chain[0]) > CERTIFICATE_BYTES_MAX:
        raise CertificateError(CertificateReason.MALFORMED, f"{len(chain[0])} bytes; at most {CERTIFICATE_BYTES_MAX}")
    try:
        with _no_warnings():
            return x509.load_der_x509_certificate(chain[0])
    except (ValueError, x509.InvalidVersion):
        raise CertificateError(CertificateReason.MALFORMED) from None


@contextmanager
def _no_warnings() -> Generator[None]:
    """Keep ``cryptography`` from printing about what a peer sent, such as a serial number of zero."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _verify(certificate: x509.Certificate, now: dt.datetime) -> PeerId:
    try:
        not_before, not_after = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except ValueError:
        raise CertificateError(CertificateReason.MALFORMED, "its dates can not be read") from None
    if now < not_before:
        raise CertificateError(CertificateReason.NOT_YET_VALID, f"valid from {not_before:%Y-%m-%d}; compare the clocks of both machines")
    if now > not_after:
        raise CertificateError(CertificateReason.EXPIRED, f"valid until {not_after:%Y-%m-%d}; compare the clocks of both machines")
    public_key_info = _check_self_signature(certificate)
    host_key, signature = decode_signed_key(_libp2p_extension(certificate))
    peer_id = _host_peer_id(host_key)
    if public_key_info[-len(peer_id) :] == peer_id:
        raise CertificateError(CertificateReason.HOST_KEY_REUSED)
    if not verify(peer_id, SIGNED_PREFIX + public_key_info, signature):
        raise CertificateError(CertificateReason.HOST_SIGNATURE)
    return peer_id


def encode_signed_key(public_key: bytes, signature: bytes) -> bytes:
    """The extension's value: ``SEQUENCE { OCTET STRING, OCTET STRING }`` in DER; at most 127 bytes inside."""
    inner = b"".join(bytes((_DER_OCTET_STRING, len(part))) + part for part in (public_key, signature))
    if len(inner) > 0x7F:
        raise ValueError("longer than an ed25519 key and its signature")
    return bytes((_DER_SEQUENCE, len(inner))) + inner


def decode_signed_key(value: bytes) -> tuple[bytes, bytes]:
    """Read the extension's value: the encoded host key and its signature.

    :raises CertificateError: ``EXTENSION_MALFORMED``.
    """
    inner, rest = _take_der(value, _DER_SEQUENCE)
    public_key, inner = _take_der(inner, _DER_OCTET_STRING)
    signature, inner = _take_der(inner, _DER_OCTET_STRING)
    if rest or inner:
        raise CertificateError(CertificateReason.EXTENSION_MALFORMED, "bytes follow its end")
    return public_key, signature


def _take_der(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """Split one DER element with ``tag`` and a length of one or two bytes off the front."""
    if len(data) < 2 or data[0] != tag:
        raise CertificateError(CertificateReason.EXTENSION_MALFORMED, f"tag {tag:#04x} expected")
    length, start = data[1], 2
    if length == 0x81 and len(data) > 2 and data[2] >= 0x80:  # DER uses the long form only where it must
        length, start = data[2], 3
    elif length >= 0x80:
        raise CertificateError(CertificateReason.EXTENSION_MALFORMED, "a length that is not DER or too great")
    if len(data) < start + length:
        raise CertificateError(CertificateReason.EXTENSION_MALFORMED, "cut short")
    return data[start : start + length], data[start + length :]


def _host_peer_id(encoded: bytes) -> PeerId:
    try:
        return PeerId.from_protobuf(encoded)
    except IdentityError as error:
        other = error.reason is IdentityReason.NOT_ED25519
        reason = CertificateReason.HOST_KEY_TYPE if other else CertificateReason.EXTENSION_MALFORMED
        raise CertificateError(reason, error.detail) from None


def _libp2p_extension(certificate: x509.Certificate) -> bytes:
    try:
        extensions = certificate.extensions
    except x509.DuplicateExtension:
        raise CertificateError(CertificateReason.EXTENSION_REPEATED) from None
    except (ValueError, x509.UnsupportedGeneralNameType):
        raise CertificateError(CertificateReason.MALFORMED, "its extensions can not be read") from None
    found: bytes | None = None
    for extension in extensions:
        if extension.oid == EXTENSION_OID and isinstance(extension.value, x509.UnrecognizedExtension):
            found = extension.value.value
        elif extension.critical:
            raise CertificateError(CertificateReason.CRITICAL_EXTENSION, extension.oid.dotted_string)
    if found is None:
        raise CertificateError(CertificateReason.EXTENSION_MISSING)
    return found


def _check_self_signature(certificate: x509.Certificate) -> bytes:
    """Check the certificate's signature by its own key; return that key's SubjectPublicKeyInfo.

    The key is encoded anew, with a named curve and an uncompressed point. A certificate
    that spells it otherwise (RFC 5480 allows explicit parameters, CVE-2020-0601) fails
    the host key's signature, which covers this encoding.
    """
    try:
        public_key = certificate.public_key()
        digest = certificate.signature_hash_algorithm
        if (
            isinstance(public_key, ec.EllipticCurvePublicKey)
            and isinstance(public_key.curve, _SAFE_CURVES)
            and isinstance(digest, _SAFE_HASHES)
        ):
            public_key.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(digest))
        elif isinstance(public_key, ed25519.Ed25519PublicKey) and certificate.signature_algorithm_oid == x509.SignatureAlgorithmOID.ED25519:
            public_key.verify(certificate.signature, certificate.tbs_certificate_bytes)
        else:
            raise CertificateError(CertificateReason.CERTIFICATE_KEY)
        return _public_key_info(public_key)
    except InvalidSignature:
        raise CertificateError(CertificateReason.SELF_SIGNATURE) from None
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError(CertificateReason.CERTIFICATE_KEY) from None


def _public_key_info(key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
