"""The encrypted files in which operators keep a node's network key.

A key file is a JSON object around a libsodium secret box, whose key is derived
from a password by Argon2i. Inside stands a *key line*: the private and the public
key in libp2p's encoding as base64, and the peer id, joined by commas. Files are
read and written under the rules of the OCaml node: nobody but the owner may reach
the file or its directory.

Opening or sealing takes about half a second and 128 MiB at the usual cost; an event
loop calls these functions in a thread.

Source: spec operator-conventions A2 and A3; `MinaFoundation/mina src/lib/secrets`,
`o1-labs/mina-rust@6fc3f265 core/src/encrypted_key.rs`.
"""

from __future__ import annotations

import enum
import errno
import json
import os
import secrets
import stat
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast

from nacl.bindings import crypto_secretbox, crypto_secretbox_open
from nacl.exceptions import CryptoError
from nacl.exceptions import RuntimeError as SodiumRuntimeError
from nacl.pwhash import argon2i

from mina_p2p.base58 import Base58Error, decode_check, encode_check
from mina_p2p.errors import MinaP2pError
from mina_p2p.identity import IdentityError, PeerId
from mina_p2p.record import Record, record
from mina_p2p_effects.keys import SecretKey

ENVIRONMENT_VARIABLE: Final = "MINA_LIBP2P_PASS"

_BOX_PRIMITIVE: Final = "xsalsa20poly1305"
_KDF_PRIMITIVE: Final = "argon2i"
_BASE58_VERSION: Final = 2
_NONCE_LENGTH: Final = 24
_SALT_LENGTH: Final = 16
_BOX_KEY_LENGTH: Final = 32
_CIPHERTEXT_TEXT_LENGTH_MAX: Final = 1024
_FILE_LENGTH_MAX: Final = 16 * 1024

_MEMORY_MIN: Final = argon2i.MEMLIMIT_MIN
_MEMORY_MAX: Final = 1024 * 1024 * 1024
_ITERATIONS_MIN: Final = argon2i.OPSLIMIT_MIN
_ITERATIONS_MAX: Final = 20


@record
class Cost(Record):
    """How expensive it is to try a password; the ``pwdiff`` of a key file."""

    memory_bytes: int
    iterations: int


COST_DEFAULT: Final = Cost(argon2i.MEMLIMIT_MODERATE, argon2i.OPSLIMIT_MODERATE)
"""What Mina's own tools write: 128 MiB, 6 iterations."""


@enum.unique
class KeyFileReason(enum.Enum):
    """Why a key could not be read or written."""

    NOT_GIVEN = "no password given"
    NOT_FOUND = "no such file"
    UNREADABLE = "the system does not let us read the file"
    FILE_MODE = "others may reach the file"
    DIRECTORY_MODE = "others may reach the directory"
    FORMAT = "not a key file"
    PRIMITIVE = "another way of encryption"
    COST = "a cost outside the limits"
    NOT_OPENED = "wrong password, or a damaged file"
    KEY_LINE = "not a key line"
    EXISTS = "a file is in the way"
    NOT_WRITTEN = "the system does not let us write the file"


class KeyFileError(MinaP2pError):
    """A key could not be read or written; ``detail`` says what to do about it. Holds no secret."""

    def __init__(self, reason: KeyFileReason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


def password_from_environment(environment: Mapping[str, str] = os.environ) -> bytes:
    """The password of the network key, from ``MINA_LIBP2P_PASS``; it may be empty.

    :raises KeyFileError: ``NOT_GIVEN`` where the variable is not set.
    """
    password = environment.get(ENVIRONMENT_VARIABLE)
    if password is None:
        raise KeyFileError(
            KeyFileReason.NOT_GIVEN, f"the environment variable {ENVIRONMENT_VARIABLE} is not set; set it to the password of the key file"
        )
    return os.fsencode(password)


def load_key(source: str, password: Callable[[], bytes] = password_from_environment) -> SecretKey:
    """Read the key that an operator names: the path of a key file, or a key line in its place.

    :param password: called only for a file, and only for one that is there and may be read.
    :raises KeyFileError: as `read_key_file` and `parse_key_line` do.
    """
    # Every key line begins with these letters: base64 of the bytes 08 01 12. A mistyped one must not be
    # taken for a path, since paths appear in messages.
    if source.lstrip().startswith("CAES") and ("," in source or ";" in source):
        return parse_key_line(source)
    content = _read_key_content(Path(source))
    return open_key(content, password())


def parse_key_line(line: str) -> SecretKey:
    """Read ``BASE64(private),BASE64(public),PEERID``; semicolons may stand for the commas.

    :raises KeyFileError: ``KEY_LINE`` where a part is malformed or the parts do not belong together.
    """
    parts = line.strip().split(";" if ";" in line else ",")
    if len(line) > _FILE_LENGTH_MAX or len(parts) != 3:
        raise KeyFileError(KeyFileReason.KEY_LINE, "a key line has three parts: private key, public key and peer id, joined by commas")
    private, public, peer_id = parts
    try:
        key = SecretKey.from_protobuf(b64decode(private, validate=True))
        claimed = {PeerId.from_protobuf(b64decode(public, validate=True)), PeerId.parse(peer_id)}
    except (IdentityError, ValueError) as error:
        raise KeyFileError(KeyFileReason.KEY_LINE, f"a key line that can not be read: {error}") from None
    if claimed != {key.peer_id}:
        raise KeyFileError(
            KeyFileReason.KEY_LINE, "the parts of the key line do not belong together: private key, public key and peer id differ"
        )
    return key


def reveal_key_line(key: SecretKey) -> str:
    """The key line of ``key``, which holds the secret in clear."""
    private, public = (b64encode(part).decode("ascii") for part in (key.reveal_protobuf(), key.peer_id.protobuf))
    return f"{private},{public},{key.peer_id.libp2p}"


def seal_key(key: SecretKey, password: bytes, *, cost: Cost = COST_DEFAULT, entropy: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """The content of a key file for ``key``.

    :param entropy: gives that many random bytes; another source only makes sense in tests.
    :raises KeyFileError: ``COST`` outside the limits that readers accept, or more than this machine can do.
    """
    salt, nonce = entropy(_SALT_LENGTH), entropy(_NONCE_LENGTH)
    box_key = _derive(password, salt, cost)
    ciphertext = crypto_secretbox(reveal_key_line(key).encode("ascii"), nonce, box_key)
    content = {
        "box_primitive": _BOX_PRIMITIVE,
        "pw_primitive": _KDF_PRIMITIVE,
        "nonce": encode_check(_BASE58_VERSION, nonce),
        "pwsalt": encode_check(_BASE58_VERSION, salt),
        "pwdiff": [cost.memory_bytes, cost.iterations],
        "ciphertext": encode_check(_BASE58_VERSION, ciphertext),
    }
    return json.dumps(content, separators=(",", ":"))


def open_key(content: str | bytes, password: bytes) -> SecretKey:
    """Read the content of a key file.

    :raises KeyFileError: ``FORMAT``, ``PRIMITIVE``, ``COST``, ``NOT_OPENED`` or ``KEY_LINE``.
    """
    fields = _parse_object(content)
    for name, known in (("box_primitive", _BOX_PRIMITIVE), ("pw_primitive", _KDF_PRIMITIVE)):
        if fields.get(name) != known:
            raise KeyFileError(KeyFileReason.PRIMITIVE, f"{name} of a key file is {known}; this one has something else or nothing")
    nonce = _bytes_field(fields, "nonce", _NONCE_LENGTH)
    salt = _bytes_field(fields, "pwsalt", _SALT_LENGTH)
    ciphertext = _bytes_field(fields, "ciphertext", None)
    box_key = _derive(password, salt, _cost_field(fields))
    try:
        plaintext = crypto_secretbox_open(ciphertext, nonce, box_key)
    except CryptoError:
        raise KeyFileError(
            KeyFileReason.NOT_OPENED, f"wrong password, or the key file is damaged; the password comes from {ENVIRONMENT_VARIABLE}"
        ) from None
    return parse_key_line(plaintext.decode("ascii", "replace"))


def read_key_file(path: Path, password: bytes) -> SecretKey:
    """Read an encrypted key file.

    :raises KeyFileError: ``NOT_FOUND``, ``UNREADABLE``, ``FILE_MODE``, ``DIRECTORY_MODE``, or as `open_key`.
    """
    return open_key(_read_key_content(path), password)


def _read_key_content(path: Path) -> bytes:
    try:
        found = path.lstat()  # what is not there is said first: whether others may reach the directory matters only then
        if stat.S_ISDIR(found.st_mode):
            raise KeyFileError(KeyFileReason.UNREADABLE, f"{path} is a directory; name the key file in it")
        _require_private_directory(path.parent)
        return _read_private_file(path)
    except FileNotFoundError:
        raise KeyFileError(KeyFileReason.NOT_FOUND, f"there is no file {path}; generate a key there first, or name another file") from None
    except OSError as error:
        raise KeyFileError(KeyFileReason.UNREADABLE, f"can not read {path}: {error.strerror}") from None
    except ValueError as error:  # a path that no system call takes, with a zero byte in it
        raise KeyFileError(KeyFileReason.NOT_FOUND, f"{str(path)!a} is no path: {error}") from None


def write_key_file(path: Path, key: SecretKey, password: bytes, *, overwrite: bool = False, cost: Cost = COST_DEFAULT) -> None:
    """Write ``key`` to ``path`` encrypted, and its peer id in clear to ``path`` with ``.peerid`` added.

    A missing directory is made. Each file appears whole or not at all; the key comes first.

    :param overwrite: replace files that are there; otherwise they are left as they are.
    :raises KeyFileError: ``EXISTS``, ``DIRECTORY_MODE``, ``NOT_WRITTEN``, or ``COST``.
    """
    peer_id_path = path.with_name(f"{path.name}.peerid")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _require_private_directory(path.parent)
        if not overwrite:
            require_free(path)
        content = seal_key(key, password, cost=cost)
        _write_whole(path, content, 0o600, overwrite=overwrite)
        _write_whole(peer_id_path, f"{key.peer_id.libp2p}\n", 0o644, overwrite=overwrite)
    except OSError as error:
        raise KeyFileError(KeyFileReason.NOT_WRITTEN, f"can not write {error.filename or path}: {error.strerror}") from None


def require_free(path: Path) -> None:
    """Check that a new key file at ``path`` would replace nothing.

    :raises KeyFileError: ``EXISTS``.
    """
    for target in (path, path.with_name(f"{path.name}.peerid")):
        if os.path.lexists(target):
            raise _exists(target)


def _derive(password: bytes, salt: bytes, cost: Cost) -> bytes:
    """The key of the box. Checks ``cost`` first: a file could otherwise ask for any amount of memory and time."""
    if not (_MEMORY_MIN <= cost.memory_bytes <= _MEMORY_MAX and _ITERATIONS_MIN <= cost.iterations <= _ITERATIONS_MAX):
        raise KeyFileError(
            KeyFileReason.COST,
            f"pwdiff [{cost.memory_bytes}, {cost.iterations}] is outside the limits: memory {_MEMORY_MIN} to {_MEMORY_MAX} bytes, "
            f"{_ITERATIONS_MIN} to {_ITERATIONS_MAX} iterations",
        )
    try:
        return argon2i.kdf(_BOX_KEY_LENGTH, password, salt, opslimit=cost.iterations, memlimit=cost.memory_bytes)
    except (SodiumRuntimeError, MemoryError):
        raise KeyFileError(KeyFileReason.COST, f"not enough memory for pwdiff: {cost.memory_bytes} bytes are needed") from None


def _parse_object(content: str | bytes) -> dict[str, Any]:
    if len(content) > _FILE_LENGTH_MAX:
        raise KeyFileError(KeyFileReason.FORMAT, f"not a key file: longer than {_FILE_LENGTH_MAX} bytes")
    try:
        value = json.loads(content if isinstance(content, str) else content.decode("utf-8"))
    except (ValueError, RecursionError):
        raise KeyFileError(KeyFileReason.FORMAT, "not a key file: it holds no JSON") from None
    if not isinstance(value, dict):
        raise KeyFileError(KeyFileReason.FORMAT, "not a key file: the JSON is no object")
    return cast("dict[str, Any]", value)


def _bytes_field(fields: dict[str, Any], name: str, length: int | None) -> bytes:
    text = fields.get(name)
    if not isinstance(text, str):
        raise KeyFileError(KeyFileReason.FORMAT, f"not a key file: {name} is no text or missing")
    try:
        return decode_check(text, _BASE58_VERSION, length, length_max=_CIPHERTEXT_TEXT_LENGTH_MAX)
    except Base58Error as error:
        raise KeyFileError(KeyFileReason.FORMAT, f"damaged key file, {name}: {error}") from None


def _cost_field(fields: dict[str, Any]) -> Cost:
    match fields.get("pwdiff"):
        # bool is a subclass of int, hence the comparison of types.
        case [memory_bytes, iterations] if type(memory_bytes) is int and type(iterations) is int:
            return Cost(memory_bytes, iterations)
        case _:
            raise KeyFileError(KeyFileReason.FORMAT, "not a key file: pwdiff is no pair of whole numbers")


def _require_private_directory(directory: Path) -> None:
    if stat.S_IMODE(directory.stat().st_mode) & 0o777 != 0o700:
        raise KeyFileError(
            KeyFileReason.DIRECTORY_MODE,
            f"the directory of a key file must be its owner's alone (mode 0700); give the key a directory of its own, or run: "
            f"chmod 700 {directory}",
        )


def _read_private_file(path: Path) -> bytes:
    # Without O_NONBLOCK, opening a pipe would wait for somebody to write into it.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise KeyFileError(KeyFileReason.UNREADABLE, f"{path} is not a file")
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise KeyFileError(KeyFileReason.FILE_MODE, f"others than its owner may reach {path}; run: chmod 600 {path}")
        return os.read(descriptor, _FILE_LENGTH_MAX + 1)
    finally:
        os.close(descriptor)


def _write_whole(path: Path, content: str, mode: int, *, overwrite: bool) -> None:
    """Write a file that is seen whole or not at all, and is on the disk when this returns."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
            file.write(content.encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            temporary.replace(path)
        else:
            path.hardlink_to(temporary)  # unlike a renaming, this refuses to replace a file
    except FileExistsError:
        raise _exists(path) from None
    finally:
        temporary.unlink(missing_ok=True)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems can not do this for a directory
            raise
    finally:
        os.close(directory)


def _exists(path: Path) -> KeyFileError:
    return KeyFileError(KeyFileReason.EXISTS, f"{path} exists and is left as it is; name another file, or ask to overwrite it")
