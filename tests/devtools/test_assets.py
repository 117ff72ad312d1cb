"""Where the interface's files come from."""

from __future__ import annotations

import hashlib
import io
import tarfile
from base64 import b64encode
from pathlib import Path

import pytest

from mina_p2p_effects.devtools import assets
from mina_p2p_effects.devtools.assets import DevToolsUnavailableError, web_folder


def archive(path: Path, names: list[str]) -> Path:
    """A package with some files."""
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 4
            tar.addfile(member, io.BytesIO(b"text"))
    return path


def trust(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setattr(assets, "INTEGRITY", b64encode(hashlib.sha512(path.read_bytes()).digest()).decode())


def test_only_the_tested_package_is_taken(tmp_path: Path) -> None:
    """Another archive under the right name is refused, and nothing of it stays."""
    given = archive(tmp_path / "x.tgz", ["package/build/web/js/app.js"])
    with pytest.raises(DevToolsUnavailableError, match="SHA-512 differs"):
        web_folder(tmp_path / "cache", given)
    assert not (tmp_path / "cache").exists()


def test_the_web_application_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files and the licence are unpacked once; afterwards no archive is needed, and none is asked for."""
    given = archive(
        tmp_path / "x.tgz", ["package/build/web/js/app.js", "package/LICENSE.md", "package/src/a.ts", "package/build/web/../../../../evil"]
    )
    trust(monkeypatch, given)
    with pytest.raises(DevToolsUnavailableError):
        web_folder(tmp_path / "cache", given)  # a path that leaves the folder
    given = archive(tmp_path / "x.tgz", ["package/build/web/js/app.js", "package/LICENSE.md", "package/src/a.ts"])
    trust(monkeypatch, given)
    monkeypatch.setenv(assets.PACKAGE_VARIABLE, str(given))
    web = web_folder(tmp_path / "cache")
    assert (web / "js" / "app.js").read_text() == "text"
    assert (tmp_path / "cache/package/LICENSE.md").is_file()
    assert not (tmp_path / "cache/package/src").exists()
    given.unlink()
    assert web_folder(tmp_path / "cache") == web


def test_without_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to do."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(assets.PACKAGE_VARIABLE, raising=False)
    with pytest.raises(DevToolsUnavailableError, match=r"npm is not installed.*npm pack @redux-devtools/app@8.0.0"):
        web_folder(tmp_path / "cache")


def test_npm_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What npm says is passed on, with the way around it."""
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'no such host' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.delenv(assets.PACKAGE_VARIABLE, raising=False)
    with pytest.raises(DevToolsUnavailableError, match=r"no such host.*MINA_P2P_DEVTOOLS_PACKAGE"):
        web_folder(tmp_path / "cache")


def test_a_folder_that_can_not_be_written(tmp_path: Path) -> None:
    """A cache in an impossible place is told as such."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DevToolsUnavailableError, match="can not be put"):
        web_folder(tmp_path / "file" / "cache")
