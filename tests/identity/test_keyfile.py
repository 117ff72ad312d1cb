"""Operators' encrypted key files."""

from __future__ import annotations

import json
import os
import stat

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mina_p2p import base58
from mina_p2p_effects.keyfile import (
    COST_DEFAULT,
    Cost,
    KeyFileError,
    KeyFileReason,
    load_key,
    open_key,
    parse_key_line,
    password_from_environment,
    read_key_file,
    reveal_key_line,
    seal_key,
    write_key_file,
)
from mina_p2p_effects.keys import SecretKey

CHEAP = Cost(8192, 3)
PASSWORD = b"correct horse battery staple"
KEY = SecretKey(bytes(range(32)))

# Spec operator-conventions A3: seed = bytes 0..31, salt = bytes 100..115, nonce = bytes 200..223.
VECTOR = (
    '{"box_primitive":"xsalsa20poly1305","pw_primitive":"argon2i","nonce":"8LDCe7iqoRfCZkfZiNYbnhDQKwvNppiKFPihoke",'
    '"pwsalt":"9XqfPskLxEZe4zLHpHfTCPDsC65U","pwdiff":[134217728,6],"ciphertext":"8YExLbAtkHMT46zL7Q957zCkufFUbJc1qfVSHyPqqk6ZxzewvtHddbTuaYaTCAPqLbJW5uAC1bqWzt2vLZT3QBckV2ceW175rSBZdEUSLFxV2Na3wrdWeUq1r9YBdo6iGgrEpwckfw32sk7FXGZ9mcQSoweihdv6VC5nyS3j8pF34e19KQvMPmTYXvsSgQK1j8VJhLfHmquu61XuEVRYYVJXyZr7j3PwV7iu1izVxk1AWmko2MV9sax2MKh353u8yKU8RPGP4KZKU2R8zMPbPkS7yWfvyS3tyKixG"}'
)


def fixed_entropy(length):
    return bytes(range(200, 224)) if length == 24 else bytes(range(100, 116))


def names_in(directory):
    return sorted(path.name for path in directory.iterdir())


@pytest.fixture
def private_directory(tmp_path):
    directory = tmp_path / "keys"
    directory.mkdir(mode=0o700)
    return directory


def test_the_specified_file_opens_and_is_written_byte_for_byte():
    """The file of the specification, at its real cost, both ways."""
    key = open_key(VECTOR, PASSWORD)
    assert key.reveal_seed() == bytes(range(32))
    assert key.peer_id.libp2p == "12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB"
    assert seal_key(KEY, PASSWORD, entropy=fixed_entropy) == VECTOR


def test_the_default_cost_is_that_of_minas_tools():
    """128 MiB and 6 iterations."""
    assert Cost(134217728, 6) == COST_DEFAULT


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=40), st.binary(min_size=1, max_size=4))
def test_only_the_password_opens(seed, password, more):
    """Every key comes back under its password, the empty one included, and under no other."""
    key = SecretKey(seed)
    content = seal_key(key, password, cost=CHEAP)
    assert open_key(content, password) == open_key(content.encode(), password) == key
    with pytest.raises(KeyFileError) as caught:
        open_key(content, password + more)
    assert caught.value.reason is KeyFileReason.NOT_OPENED


def test_salt_and_nonce_are_fresh():
    """Two files of one key have nothing in common that could be compared."""
    first, second = (json.loads(seal_key(KEY, PASSWORD, cost=CHEAP)) for _ in range(2))
    for name in ("nonce", "pwsalt", "ciphertext"):
        assert first[name] != second[name]


CONTENT = json.loads(seal_key(KEY, PASSWORD, cost=CHEAP))
F = KeyFileReason


def changed(**fields):
    return json.dumps({name: value for name, value in {**CONTENT, **fields}.items() if value is not ...})


def b58(length, version=2):
    return base58.encode_check(version, bytes(length))


MALFORMED = [
    ("", F.FORMAT),
    (b"\xff\xfe", F.FORMAT),
    ("{", F.FORMAT),
    ("[]", F.FORMAT),
    ("null", F.FORMAT),
    ("[" * 10_000, F.FORMAT),
    ('{"pwdiff":' + "1" * 5000 + "}", F.FORMAT),
    (" " * 20_000, F.FORMAT),
    ("{}", F.PRIMITIVE),
    (changed(box_primitive=...), F.PRIMITIVE),
    (changed(box_primitive="xchacha20poly1305"), F.PRIMITIVE),
    (changed(pw_primitive="argon2id"), F.PRIMITIVE),
    (changed(pw_primitive=["argon2i"]), F.PRIMITIVE),
    (changed(nonce=...), F.FORMAT),
    (changed(nonce=7), F.FORMAT),
    (changed(nonce="0"), F.FORMAT),
    (changed(nonce=b58(23)), F.FORMAT),
    (changed(nonce=b58(24, version=3)), F.FORMAT),
    (changed(pwsalt=...), F.FORMAT),
    (changed(pwsalt=b58(17)), F.FORMAT),
    (changed(ciphertext=...), F.FORMAT),
    (changed(ciphertext=None), F.FORMAT),
    (changed(ciphertext="2" * 1025), F.FORMAT),
    (changed(ciphertext=CONTENT["ciphertext"][:-1]), F.FORMAT),
    (changed(ciphertext=b58(0)), F.NOT_OPENED),
    (changed(ciphertext=b58(15)), F.NOT_OPENED),
    (changed(ciphertext=b58(300)), F.NOT_OPENED),
    (changed(nonce=b58(24)), F.NOT_OPENED),
    (changed(pwsalt=b58(16)), F.NOT_OPENED),
    (changed(pwdiff=[8192, 4]), F.NOT_OPENED),
    (changed(pwdiff=...), F.FORMAT),
    (changed(pwdiff=[]), F.FORMAT),
    (changed(pwdiff=[8192]), F.FORMAT),
    (changed(pwdiff=[8192, 3, 1]), F.FORMAT),
    (changed(pwdiff="81"), F.FORMAT),
    (changed(pwdiff={"0": 8192, "1": 3}), F.FORMAT),
    (changed(pwdiff=[8192.0, 3]), F.FORMAT),
    (changed(pwdiff=[8192, True]), F.FORMAT),
    (changed(pwdiff=[8191, 3]), F.COST),
    (changed(pwdiff=[8192, 2]), F.COST),
    (changed(pwdiff=[8192, 21]), F.COST),
    (changed(pwdiff=[1024**3 + 1, 3]), F.COST),
    (changed(pwdiff=[-1, 3]), F.COST),
    (changed(pwdiff=[10**30, 3]), F.COST),
]


@pytest.mark.parametrize(("content", "reason"), MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_files(content, reason):
    """Each fault has its reason. A cost outside the limits is refused before anything is spent on it."""
    with pytest.raises(KeyFileError) as caught:
        open_key(content, PASSWORD)
    assert caught.value.reason is reason


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200)))
def test_opening_is_total(content):
    """Anything but a key file is a `KeyFileError`."""
    with pytest.raises(KeyFileError):
        open_key(content, PASSWORD)


def test_a_writer_keeps_to_what_readers_accept():
    """A cost that no reader would take is not written."""
    with pytest.raises(KeyFileError) as caught:
        seal_key(KEY, PASSWORD, cost=Cost(8192, 21))
    assert caught.value.reason is F.COST


LINE = reveal_key_line(KEY)
PRIVATE, PUBLIC, ID = LINE.split(",")
OTHER_PRIVATE, OTHER_PUBLIC, OTHER_ID = reveal_key_line(SecretKey.deterministic(3)).split(",")


@pytest.mark.parametrize("line", [LINE, LINE.replace(",", ";"), f" {LINE}\n", f"{PRIVATE},{PUBLIC},{KEY.peer_id}"])
def test_key_lines(line):
    """Commas or semicolons, white space around, either form of the id."""
    assert parse_key_line(line) == KEY


def test_the_key_line_is_that_of_the_specification():
    """Base64 of both libp2p encodings, and the libp2p id."""
    assert PRIVATE.startswith("CAESQ")
    assert PUBLIC.startswith("CAESI")
    assert ID == "12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB"


MALFORMED_LINES = [
    "",
    ",,",
    f"{PRIVATE},{PUBLIC}",
    f"{PRIVATE},{PUBLIC},{ID},",
    f"{PRIVATE};{PUBLIC},{ID}",
    f"{PRIVATE[:-2]},{PUBLIC},{ID}",
    f"{PRIVATE}!,{PUBLIC},{ID}",
    f"é{PRIVATE},{PUBLIC},{ID}",
    f"{PUBLIC},{PUBLIC},{ID}",
    f"{PRIVATE},{PRIVATE},{ID}",
    f"{PRIVATE},{PUBLIC},{ID[:-1]}",
    f"{OTHER_PRIVATE},{PUBLIC},{ID}",
    f"{PRIVATE},{OTHER_PUBLIC},{ID}",
    f"{PRIVATE},{PUBLIC},{OTHER_ID}",
    f"{PRIVATE},{PUBLIC},{ID}" + " " * 20_000,
]


@pytest.mark.parametrize("line", MALFORMED_LINES, ids=range(len(MALFORMED_LINES)))
def test_malformed_key_lines(line):
    """Parts that are missing, malformed or of different keys; no secret in the message."""
    with pytest.raises(KeyFileError) as caught:
        parse_key_line(line)
    assert caught.value.reason is F.KEY_LINE
    assert PRIVATE[8:40] not in str(caught.value)


@pytest.mark.parametrize("line", [LINE, LINE.replace(",", ";")])
def test_a_key_line_stands_in_for_a_path(line):
    """As with the OCaml node's flag; no password is asked for."""

    def no_password():
        raise AssertionError

    assert load_key(line, no_password) == KEY


def test_a_mistyped_key_line_is_not_taken_for_a_path():
    """A path would be repeated in the message, a secret must not be."""
    with pytest.raises(KeyFileError) as caught:
        load_key(LINE[:-1], lambda: PASSWORD)
    assert caught.value.reason is F.KEY_LINE
    assert PRIVATE[8:40] not in str(caught.value)


def test_a_file_is_written_and_read(private_directory):
    """Mode 0600, the id beside it, nothing else left in the directory."""
    path = private_directory / "libp2p-key"
    write_key_file(path, KEY, PASSWORD, cost=CHEAP)
    assert read_key_file(path, PASSWORD) == KEY
    assert load_key(str(path), lambda: PASSWORD) == KEY
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (private_directory / "libp2p-key.peerid").read_text() == f"{KEY.peer_id.libp2p}\n"
    assert names_in(private_directory) == ["libp2p-key", "libp2p-key.peerid"]
    assert KEY.reveal_text().encode() not in path.read_bytes()


def test_a_missing_directory_is_made_for_its_owner_only(tmp_path):
    """Mode 0700."""
    path = tmp_path / "a" / "b" / "key"
    write_key_file(path, KEY, PASSWORD, cost=CHEAP)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert read_key_file(path, PASSWORD) == KEY


@pytest.mark.parametrize("in_the_way", ["key", "key.peerid"])
def test_nothing_is_overwritten_unasked(private_directory, in_the_way):
    """A file of either name stays as it is, and the other is not made."""
    (private_directory / in_the_way).write_text("precious")
    with pytest.raises(KeyFileError) as caught:
        write_key_file(private_directory / "key", KEY, PASSWORD, cost=CHEAP)
    assert caught.value.reason is F.EXISTS
    assert (private_directory / in_the_way).read_text() == "precious"
    assert names_in(private_directory) == [in_the_way]


def test_a_file_that_appears_meanwhile_is_not_overwritten(private_directory, monkeypatch):
    """Also where it came while the password was being worked on."""
    path = private_directory / "key"
    monkeypatch.setattr("mina_p2p_effects.keyfile.seal_key", lambda *args, **kwargs: path.write_text("precious") and "ours")
    with pytest.raises(KeyFileError) as caught:
        write_key_file(path, KEY, PASSWORD)
    assert caught.value.reason is F.EXISTS
    assert path.read_text() == "precious"
    assert names_in(private_directory) == ["key"]


def test_overwriting_on_request(private_directory):
    """Both files are replaced, and a link in the way is replaced, not followed."""
    path, elsewhere = private_directory / "key", private_directory / "elsewhere"
    elsewhere.write_text("precious")
    path.symlink_to(elsewhere)
    write_key_file(path, KEY, PASSWORD, cost=CHEAP, overwrite=True)
    other = SecretKey.deterministic(5)
    write_key_file(path, other, PASSWORD, cost=CHEAP, overwrite=True)
    assert read_key_file(path, PASSWORD) == other
    assert (private_directory / "key.peerid").read_text() == f"{other.peer_id.libp2p}\n"
    assert elsewhere.read_text() == "precious"
    assert not path.is_symlink()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o666])
def test_a_file_that_others_may_reach_is_refused(private_directory, mode):
    """With the command that mends it."""
    path = private_directory / "key"
    write_key_file(path, KEY, PASSWORD, cost=CHEAP)
    path.chmod(mode)
    with pytest.raises(KeyFileError) as caught:
        read_key_file(path, PASSWORD)
    assert caught.value.reason is F.FILE_MODE
    assert f"chmod 600 {path}" in str(caught.value)


@pytest.mark.parametrize("mode", [0o755, 0o710, 0o701, 0o500])
def test_a_directory_that_is_not_its_owners_alone_is_refused(private_directory, mode):
    """For reading and for writing, with the command that mends it."""
    path = private_directory / "key"
    write_key_file(path, KEY, PASSWORD, cost=CHEAP)
    private_directory.chmod(mode)
    for attempt in (lambda: read_key_file(path, PASSWORD), lambda: write_key_file(private_directory / "new", KEY, PASSWORD, cost=CHEAP)):
        with pytest.raises(KeyFileError) as caught:
            attempt()
        assert caught.value.reason is F.DIRECTORY_MODE
        assert f"chmod 700 {private_directory}" in str(caught.value)
    private_directory.chmod(0o700)


def test_what_is_no_file(private_directory):
    """Missing files, missing directories, directories, pipes and impossible paths each have a reason; none of them waits."""
    os.mkfifo(private_directory / "pipe", 0o600)
    (private_directory / "directory").mkdir()
    (private_directory / "loop").symlink_to("loop")
    for name, reason in [
        ("missing", F.NOT_FOUND),
        ("missing/key", F.NOT_FOUND),
        ("pipe", F.UNREADABLE),
        ("directory", F.UNREADABLE),
        ("loop", F.UNREADABLE),
        ("a\0b", F.NOT_FOUND),
        ("a\0b/c", F.NOT_FOUND),
        ("x" * 300, F.UNREADABLE),
    ]:
        with pytest.raises(KeyFileError) as caught:
            load_key(f"{private_directory}/{name}", lambda: PASSWORD)
        assert caught.value.reason is reason, name


def test_what_can_not_be_written(private_directory):
    """A directory below a file, and a name that is too long."""
    (private_directory / "file").write_text("")
    for name in ("file/key", "x" * 300):
        with pytest.raises(KeyFileError) as caught:
            write_key_file(private_directory / name, KEY, PASSWORD, cost=CHEAP)
        assert caught.value.reason is F.NOT_WRITTEN
    assert names_in(private_directory) == ["file"]


def test_a_huge_file_is_not_read_whole(private_directory):
    """What is longer than a key file can be is refused."""
    path = private_directory / "key"
    path.write_text(VECTOR + " " * 20_000)
    path.chmod(0o600)
    with pytest.raises(KeyFileError) as caught:
        read_key_file(path, PASSWORD)
    assert caught.value.reason is F.FORMAT


def test_the_password_comes_from_the_environment(monkeypatch):
    """Set but empty is a password; unset is an error that names the variable."""
    assert password_from_environment({"MINA_LIBP2P_PASS": "pä"}) == "pä".encode()
    assert password_from_environment({"MINA_LIBP2P_PASS": ""}) == b""
    with pytest.raises(KeyFileError) as caught:
        password_from_environment({})
    assert caught.value.reason is F.NOT_GIVEN
    assert "MINA_LIBP2P_PASS" in str(caught.value)
    monkeypatch.setenv("MINA_LIBP2P_PASS", "from the process")
    assert password_from_environment() == b"from the process"
