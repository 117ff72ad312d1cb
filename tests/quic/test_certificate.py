"""Certificates: ours verify, the specification's vectors give its results, each fault has its reason."""

from __future__ import annotations

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mina_p2p.identity import PeerId
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.transports.quic.certificate import (
    CERTIFICATE_BYTES_MAX,
    EXTENSION_OID,
    SIGNED_PREFIX,
    CertificateError,
    CertificateReason,
    OwnCertificate,
    decode_signed_key,
    encode_signed_key,
    make_certificate,
    verify_certificates,
)

HOST = SecretKey.deterministic(5)
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)

# libp2p/specs tls/tls.md, "Test vectors" 1 to 4.
_BEGIN = (
    "0201020204499602d2300a06082a8648ce3d040302302031123010060355040a13096c69627032702e696f310a300806035504051301313020170d37353031"
    "30313133303030305a180f34303936303130313133303030305a302031123010060355040a13096c69627032702e696f310a30080603550405130131305930"
    "1306072a8648ce3d020106082a8648ce3d030107034200040c901d423c831ca85e27c73c263ba132721bb9d7a84c4f0380b2a6756fd601331c8870234dec87"
    "8504c174144fa4b14b66a651691606d8173e55bd37e381569e"
)
_ECDSA_HOST_KEY = (
    "045f0803125b3059301306072a8648ce3d020106082a8648ce3d03010703420004bf30511f909414ebdd3242178fd290f093a551cf75c973155de0bb5a96fe"
    "df6cb5d52da7563e794b512f66e60c7f55ba8a3acf3dd72a801980d205e8a1ad29f204"
)
VECTOR_ED25519 = bytes.fromhex(
    f"308201ae30820156a003{_BEGIN}a37c307a3078060a2b0601040183a25a0101046a3068042408011220a77f1d92fedb59dddaea5a1c4abd1ac2fbde7d7b87"
    "9ed364501809923d7c11b90440d90d2769db992d5e6195dbb08e706b6651e024fda6cfb8846694a435519941cac215a8207792e42849cccc6cd8136c6e4bde"
    "92a58c5e08cfd4206eb5fe0bf909300a06082a8648ce3d0403020346003043021f50f6b6c52711a881778718238f650c9fb48943ae6ee6d28427dc6071ae55"
    "e702203625f116a7a454db9c56986c82a25682f7248ea1cb764d322ea983ed36a31b77"
)
VECTOR_ECDSA = bytes.fromhex(
    f"308201f63082019da003{_BEGIN}a381c23081bf3081bc060a2b0601040183a25a01010481ad3081aa{_ECDSA_HOST_KEY}473045"
    "0220064ea8124774caf8f50e57f436aa62350ce652418c019df5d98a3ac666c9386a022100aa59d704a931b5f72fb9222cb6cc51f954d04a4e2e5450f8805f"
    "e8918f71eaae300a06082a8648ce3d04030203470030440220799395b0b6c1e940a7e4484705f610ab51ed376f19ff9d7c16757cfbf61b8d4302206205c03f"
    "bb0f95205c779be86581d3e31c01871ad5d1f3435bcf375cb0e5088a"
)
VECTOR_SECP256K1 = bytes.fromhex(
    f"308201ba3082015fa003{_BEGIN}a38184308181307f060a2b0601040183a25a01010471306f0425080212210206dc6968726765b820f050263ececf7f71e4"
    "955892776c0970542efd689d2382044630440220145e15a991961f0d08cd15425bb95ec93f6ffa03c5a385eedc34ecf464c7a8ab022026b3109b8a3f40ef83"
    "3169777eb2aa337cfb6282f188de0666d1bcec2a4690dd300a06082a8648ce3d0403020349003046022100e1a217eeef9ec9204b3f774a08b70849646b6a1e"
    "6b8b27f93dc00ed58545d9fe022100b00dafa549d0f03547878338c7b15e7502888f6d45db387e5ae6b5d46899cef0"
)
VECTOR_INVALID = bytes.fromhex(
    f"308201f73082019da003{_BEGIN}a381c23081bf3081bc060a2b0601040183a25a01010481ad3081aa{_ECDSA_HOST_KEY}473045"
    "022100bb6e03577b7cc7a3cd1558df0da2b117dfdcc0399bc2504ebe7de6f65cade72802206de96e2a5be9b6202adba24ee0362e490641ac45c240db71fe95"
    "5f2c5cf8df6e300a06082a8648ce3d0403020348003045022100e847f267f43717358f850355bdcabbefb2cfbf8a3c043b203a14788a092fe8db022027c1d0"
    "4a2d41fd6b57a7e8b3989e470325de4406e52e084e34a3fd56eef0d0df"
)


def der(own: OwnCertificate) -> bytes:
    return own.certificate.public_bytes(Encoding.DER)


def build(host: SecretKey, *, fault: str = "", key=None, critical: bool = True) -> OwnCertificate:
    """A certificate that is right but for ``fault``."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    info = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    host_key = host.peer_id.protobuf
    signed = SIGNED_PREFIX + info
    begin, end = dt.datetime(2020, 1, 1, tzinfo=dt.UTC), dt.datetime(2040, 1, 1, tzinfo=dt.UTC)
    match fault:
        case "signature":
            signed = b"libp2p-tls-handshake;" + info
        case "other key":
            signed = SIGNED_PREFIX + der(make_certificate(host))[:91]
        case "expired":
            end = dt.datetime(2021, 1, 1, tzinfo=dt.UTC)
        case "future":
            begin = dt.datetime(2039, 1, 1, tzinfo=dt.UTC)
        case "host_key_type":
            host_key = b"\x08\x02\x12\x21\x02" + bytes(32)
        case "host_key_form":
            host_key = b"\x12\x20" + host.peer_id + b"\x08\x01"
        case _:
            pass
    value = encode_signed_key(host_key, host.sign(signed))
    match fault:
        case "trailing":
            value += b"\x00"
        case "inner trailing":
            value = bytes((0x30, value[1] + 2)) + value[2:] + b"\x05\x00"
        case "truncated":
            value = value[:-1]
        case "bit strings":
            value = value.replace(b"\x04\x24", b"\x03\x24", 1)
        case "long length":
            value = b"\x30\x81" + value[1:]
        case "empty":
            value = b""
        case _:
            pass
    builder = x509.CertificateBuilder(x509.Name([]), x509.Name([]), key.public_key(), 1, begin, end)
    if fault != "missing":
        builder = builder.add_extension(x509.UnrecognizedExtension(EXTENSION_OID, value), critical=critical)
    if fault == "critical":
        builder = builder.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), critical=True)
    if fault == "known critical":
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    if fault == "not critical":
        builder = builder.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), critical=False)
    signer = ec.generate_private_key(ec.SECP256R1()) if fault == "self" else key
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA224() if fault == "digest" else hashes.SHA256()
    return OwnCertificate(builder.sign(signer, digest), key)


def element(tag: int, content: bytes) -> bytes:
    """One DER element."""
    size = len(content)
    length = bytes((size,)) if size < 0x80 else b"\x81" + bytes((size,)) if size < 0x100 else b"\x82" + size.to_bytes(2, "big")
    return bytes((tag,)) + length + content


def twice() -> bytes:
    """A certificate whose libp2p extension occurs twice, correctly signed: no library makes one."""
    key = ec.generate_private_key(ec.SECP256R1())
    tbs = build(HOST, key=key).certificate.tbs_certificate_bytes
    position = tbs.index(bytes.fromhex("060a2b0601040183a25a0101")) - 2
    extension, before = tbs[position:], tbs[4 : position - 4]  # without the headers of the lists it stands in
    tbs = element(0x30, before + element(0xA3, element(0x30, extension * 2)))
    signature = element(0x03, b"\x00" + key.sign(tbs, ec.ECDSA(hashes.SHA256())))
    return element(0x30, tbs + bytes.fromhex("300a06082a8648ce3d040302") + signature)


def reason_of(*chain: bytes, now: dt.datetime = NOW) -> CertificateReason:
    with pytest.raises(CertificateError) as caught:
        verify_certificates(chain, now)
    assert str(caught.value)
    return caught.value.reason


def test_our_certificate_proves_our_id():
    """What `make_certificate` makes verifies as the host's id, and is small."""
    own = make_certificate(HOST)
    assert verify_certificates((der(own),), NOW) == HOST.peer_id
    assert len(der(own)) < 450
    assert repr(own) == "<OwnCertificate>"


def test_each_certificate_has_its_own_key():
    """The certificate's key is fresh and is not the host's."""
    first, second = make_certificate(HOST), make_certificate(HOST)
    assert first.private_key.private_numbers() != second.private_key.private_numbers()


def test_the_specifications_ed25519_vector():
    """libp2p/specs tls/tls.md, vector 1."""
    assert verify_certificates((VECTOR_ED25519,), NOW) == PeerId.parse("12D3KooWM6CgA9iBFZmcYAHA6A2qvbAxqfkmrYiRQuz3XEsk4Ksv")


@pytest.mark.parametrize("vector", [VECTOR_ECDSA, VECTOR_SECP256K1, VECTOR_INVALID], ids=["ecdsa", "secp256k1", "invalid"])
def test_the_specifications_other_vectors_have_no_mina_identity(vector):
    """Vectors 2 to 4 read as certificates; their host keys are not ed25519, so they prove no peer id of Mina."""
    assert reason_of(vector) is CertificateReason.HOST_KEY_TYPE


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("missing", CertificateReason.EXTENSION_MISSING),
        ("signature", CertificateReason.HOST_SIGNATURE),
        ("other key", CertificateReason.HOST_SIGNATURE),
        ("expired", CertificateReason.EXPIRED),
        ("future", CertificateReason.NOT_YET_VALID),
        ("host_key_type", CertificateReason.HOST_KEY_TYPE),
        ("host_key_form", CertificateReason.EXTENSION_MALFORMED),
        ("trailing", CertificateReason.EXTENSION_MALFORMED),
        ("inner trailing", CertificateReason.EXTENSION_MALFORMED),
        ("truncated", CertificateReason.EXTENSION_MALFORMED),
        ("bit strings", CertificateReason.EXTENSION_MALFORMED),
        ("long length", CertificateReason.EXTENSION_MALFORMED),
        ("empty", CertificateReason.EXTENSION_MALFORMED),
        ("critical", CertificateReason.CRITICAL_EXTENSION),
        ("known critical", CertificateReason.CRITICAL_EXTENSION),
        ("self", CertificateReason.SELF_SIGNATURE),
        ("digest", CertificateReason.CERTIFICATE_KEY),
    ],
)
def test_each_fault_has_its_reason(fault, reason):
    """A certificate that is right but for one thing is refused for that thing."""
    assert reason_of(der(build(HOST, fault=fault))) is reason


@pytest.mark.parametrize("fault", ["", "not critical"])
@pytest.mark.parametrize("critical", [True, False])
def test_what_the_specification_allows_is_accepted(fault, critical):
    """The extension may be critical or not; unknown extensions that are not critical are ignored."""
    assert verify_certificates((der(build(HOST, fault=fault, critical=critical)),), NOW) == HOST.peer_id


@pytest.mark.parametrize("key", [ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()], ids=["P-384", "Ed25519"])
def test_other_good_certificate_keys_are_accepted(key):
    """The peer chooses its certificate key among the safe kinds."""
    assert verify_certificates((der(build(HOST, key=key)),), NOW) == HOST.peer_id


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (rsa.generate_private_key(65537, 2048), CertificateReason.CERTIFICATE_KEY),
        (ec.generate_private_key(ec.SECP256K1()), CertificateReason.CERTIFICATE_KEY),
        (HOST.to_cryptography(), CertificateReason.HOST_KEY_REUSED),
    ],
    ids=["RSA", "secp256k1", "the host key"],
)
def test_other_certificate_keys_are_refused(key, reason):
    """Neither weak or unusual kinds, nor the host key itself."""
    assert reason_of(der(build(HOST, key=key))) is reason


def test_an_ed25519_certificate_signs_itself_too():
    """The other kind of certificate key has its signature checked as well."""
    good = der(build(HOST, key=ed25519.Ed25519PrivateKey.generate()))
    assert reason_of(good[:-1] + bytes((good[-1] ^ 1,))) is CertificateReason.SELF_SIGNATURE


def test_two_extensions_are_refused():
    """Which of two would count is not a question to answer."""
    assert reason_of(twice()) is CertificateReason.EXTENSION_REPEATED


def test_exactly_one_certificate():
    """None and two are refused, whatever they are."""
    good = der(make_certificate(HOST))
    assert reason_of() is CertificateReason.COUNT
    assert reason_of(good, good) is CertificateReason.COUNT


def test_a_huge_certificate_is_not_read():
    """Its size alone refuses it."""
    assert reason_of(bytes(CERTIFICATE_BYTES_MAX + 1)) is CertificateReason.MALFORMED


@given(position=st.integers(0, 390), mask=st.integers(1, 255))
@settings(max_examples=150, deadline=None)
@example(position=12, mask=1)
def test_a_changed_byte_gives_no_other_identity(position, mask):
    """One changed byte anywhere: `CertificateError`, but for a signature's spelling, which the library reads more freely than DER."""
    good = GOOD
    position %= len(good)
    bad = good[:position] + bytes((good[position] ^ mask,)) + good[position + 1 :]
    try:
        found = verify_certificates((bad,), NOW)
    except CertificateError:
        return
    assert found == HOST.peer_id
    assert position > len(good) - 75


@given(st.binary(max_size=200))
def test_garbage_is_refused_and_nothing_else(data):
    """The decoder is total."""
    with pytest.raises(CertificateError):
        verify_certificates((data,), NOW)


@given(st.binary(max_size=40))
def test_the_extensions_decoder_is_total(data):
    """A pair, or the one error."""
    try:
        public_key, signature = decode_signed_key(data)
    except CertificateError:
        return
    assert len(public_key) + len(signature) <= len(data)


@given(st.binary(max_size=50), st.binary(max_size=60))
def test_the_extension_round_trips(public_key, signature):
    """What is encoded is read back."""
    assert decode_signed_key(encode_signed_key(public_key, signature)) == (public_key, signature)


GOOD = der(make_certificate(HOST))
