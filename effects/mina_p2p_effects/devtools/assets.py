"""The interface's files: taken from its npm package on first use, and kept in the user's cache.

They are of other authors (MIT licence) and large, so they are not part of this package.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from base64 import b64decode
from pathlib import Path
from typing import Final

from mina_p2p.errors import MinaP2pError

PACKAGE: Final = "@redux-devtools/app"
VERSION: Final = "8.0.0"
INTEGRITY: Final = "iWyUuD5WiaFJcIZ4HJ0dQEfnb3QnSHRVr/PQl/0wuNKw3A6BCYmr/dVCNkVtDTthtnRYN6eDw6sS0T58oew7fQ=="
"""SHA-512 of the package, base64: what is served to the browser is what was tested."""

PACKAGE_VARIABLE: Final = "MINA_P2P_DEVTOOLS_PACKAGE"
"""Environment variable with the path of the package's archive, for machines without a way to the registry."""

NPM_SECONDS: Final = 120
_WEB: Final = "package/build/web/"
_WANTED: Final = (_WEB, "package/LICENSE.md")
_SIZE_MAX: Final = 64 << 20


class DevToolsUnavailableError(MinaP2pError):
    """The interface's files are not here and could not be fetched."""


def cache_folder() -> Path:
    """Where the files are kept: ``$XDG_CACHE_HOME/mina-p2p``, by default below ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "mina-p2p" / f"redux-devtools-{VERSION}"


def web_folder(folder: Path | None = None, archive: Path | None = None) -> Path:
    """The folder with the web application's ``js`` files, fetched where it is not there yet.

    :param folder: instead of `cache_folder`.
    :param archive: the npm package as a file; by default what ``MINA_P2P_DEVTOOLS_PACKAGE`` names, else ``npm`` fetches it.
    :raises DevToolsUnavailableError: with what to do about it.
    """
    kept = folder or cache_folder()
    web = kept / _WEB
    if (web / "js" / "app.js").is_file():
        return web
    named = archive or (Path(os.environ[PACKAGE_VARIABLE]) if os.environ.get(PACKAGE_VARIABLE) else None)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as temporary:
            place = Path(temporary)
            _unpack(named or _fetched(place), place / "whole")
            if kept.exists():
                shutil.rmtree(kept)  # an older attempt that was cut off
            (place / "whole").rename(kept)
    except OSError as error:
        raise DevToolsUnavailableError(f"the files of Redux DevTools can not be put into {kept}: {error}") from error
    return web


def _fetched(place: Path) -> Path:
    """The package, by npm."""
    npm = shutil.which("npm")
    if npm is None:
        raise DevToolsUnavailableError(
            f"Redux DevTools is fetched by npm, once, and npm is not installed. Install it, or fetch the archive of "
            f"{PACKAGE}@{VERSION} elsewhere ('npm pack {PACKAGE}@{VERSION}') and name it in {PACKAGE_VARIABLE}"
        )
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--ignore-scripts", "--silent", "--pack-destination", str(place)]
    try:
        subprocess.run(command, cwd=place, check=True, capture_output=True, timeout=NPM_SECONDS)  # noqa: S603 - fixed words
    except subprocess.TimeoutExpired:
        raise DevToolsUnavailableError(f"npm did not fetch {PACKAGE}@{VERSION} within {NPM_SECONDS} s; {_OFFLINE}") from None
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or b"").decode(errors="replace").strip().splitlines()
        said = lines[0] if lines else f"exit code {error.returncode}"
        raise DevToolsUnavailableError(f"npm could not fetch {PACKAGE}@{VERSION}: {said}; {_OFFLINE}") from error
    found = sorted(place.glob("*.tgz"))
    if not found:
        raise DevToolsUnavailableError(f"npm fetched {PACKAGE}@{VERSION} and left no archive")
    return found[0]


_OFFLINE: Final = f"without a way to the registry, name the package's archive in {PACKAGE_VARIABLE}"


def _unpack(archive: Path, target: Path) -> None:
    """Take the web application out of the package, after checking that it is the one that was tested."""
    data = archive.read_bytes()
    if hashlib.sha512(data).digest() != b64decode(INTEGRITY):
        raise DevToolsUnavailableError(f"{archive.name} is not {PACKAGE}@{VERSION}: its SHA-512 differs")
    try:
        with tarfile.open(archive, "r:gz") as tar:
            members = [member for member in tar.getmembers() if member.isfile() and member.name.startswith(_WANTED)]
            if sum(member.size for member in members) > _SIZE_MAX:
                raise DevToolsUnavailableError(f"{archive.name} would take more than {_SIZE_MAX >> 20} MiB")
            tar.extractall(target, members, filter="data")
    except tarfile.TarError as error:
        raise DevToolsUnavailableError(f"{archive.name} can not be unpacked: {error}") from error
