"""The server: what it gives to whom."""

# ruff: noqa: E402 - what an extra brings is imported after asking for it

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

websockets = pytest.importorskip("websockets", reason="the server needs the extra ui")

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from mina_p2p_effects.cli import main
from mina_p2p_effects.devtools.server import DevToolsServer
from mina_p2p_effects.devtools.socketcluster import CONNECTION
from mina_p2p_effects.devtools.viewer import Viewer
from mina_p2p_effects.logs import LogSession, open_session


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """A web application in place of the genuine one."""
    (tmp_path / "web/js").mkdir(parents=True)
    (tmp_path / "web/js/app.js").write_text("genuine")
    (tmp_path / "web/font.woff2").write_bytes(b"font")
    (tmp_path / "web/secret.txt").write_text("secret")
    return tmp_path / "web"


def served(session: LogSession, web: Path, story: Callable[[DevToolsServer, Viewer], Awaitable[None]]) -> None:
    async def run() -> None:
        viewer = Viewer(session, "node.log", count_max=100)
        server = DevToolsServer(viewer, web)
        await server.start()
        try:
            await asyncio.wait_for(story(server, viewer), 60)
        finally:
            await server.close()

    asyncio.run(run())


def get(url: str, host: str | None = None) -> tuple[int, str, str]:
    request = urllib.request.Request(url, headers={"Host": host} if host else {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, "", error.read().decode()


def page(server: DevToolsServer, path: str) -> connect:
    """A WebSocket as our own page opens it."""
    return connect(server.url.replace("http", "ws") + path, origin=server.url.rstrip("/"), max_size=None)  # type: ignore[arg-type]


async def call(socket: ClientConnection, **packet: Any) -> Any:
    await socket.send(json.dumps(packet))
    return json.loads(await socket.recv())


def test_files(session: LogSession, web: Path) -> None:
    """Our page and the interface's files are served, nothing else, and only under the loopback names."""

    async def story(server: DevToolsServer, _viewer: Viewer) -> None:
        url = server.url
        port = url.rstrip("/").rpartition(":")[2]
        status, kind, body = await asyncio.to_thread(get, url)
        assert (status, kind) == (200, "text/html; charset=utf-8")
        assert 'id="root"' in body
        assert (await asyncio.to_thread(get, url + "js/app.js"))[2] == "genuine"
        assert (await asyncio.to_thread(get, url + "font.woff2"))[1] == "font/woff2"
        for path in ("secret.txt", "js/../secret.txt", "../../etc/passwd", "%2e%2e/x", "js/"):
            assert (await asyncio.to_thread(get, url + path))[0] == 404
        assert (await asyncio.to_thread(get, url, f"localhost:{port}"))[0] == 200
        assert (await asyncio.to_thread(get, url, f"evil.example:{port}"))[0] == 403

    served(session, web, story)


@pytest.mark.parametrize("path", ["socketcluster/", "bar"])
@pytest.mark.parametrize("origin", [None, "http://evil.example", "null"])
def test_other_pages_read_nothing(session: LogSession, web: Path, path: str, origin: str | None) -> None:
    """A page of another place gets no WebSocket, so it can not read the log."""

    async def story(server: DevToolsServer, _viewer: Viewer) -> None:
        with pytest.raises(InvalidStatus):
            async with connect(server.url.replace("http", "ws") + path, origin=origin):  # type: ignore[arg-type]
                pass

    served(session, web, story)


def test_slider_and_bar(session: LogSession, web: Path) -> None:
    """The interface gets the window, its slider moves the replay and the bar shows it; the bar moves everyone's window."""

    async def story(server: DevToolsServer, viewer: Viewer) -> None:
        async with page(server, "socketcluster/") as interface, page(server, "bar") as bar:
            assert json.loads(await bar.recv())["at"] == 0
            await call(interface, event="#handshake", data={}, cid=1)
            await call(interface, event="#subscribe", data={"channel": "log"}, cid=2)
            first = await call(interface, event="respond", data={"type": "START"})
            assert first["data"]["data"]["type"] == "STATE"
            target = session.action(33).action_id
            jump = {"type": "JUMP_TO_ACTION", "actionId": target}
            await interface.send(json.dumps({"event": f"sc-{CONNECTION}", "data": {"type": "DISPATCH", "action": jump}}))
            assert json.loads(await bar.recv())["at"] == target
            assert viewer.state == session.state_at(33)
            await bar.send(json.dumps({"move": "next", "text": ""}))
            assert json.loads(await bar.recv())["window"] == {"start": 100, "end": 200}
            second = json.loads(await interface.recv())
            assert second["data"]["data"]["payload"]["stagedActionIds"][1] == session.action(100).action_id
            for nonsense in ("", "[", "5", '{"move": 5}', '{"move": "dance", "text": ""}'):
                await bar.send(nonsense)
                assert json.loads(await bar.recv())["window"] == {"start": 100, "end": 200}

    served(session, web, story)


def test_a_browser_that_leaves(session: LogSession, web: Path) -> None:
    """Others go on when one browser is gone in the middle."""

    async def story(server: DevToolsServer, _viewer: Viewer) -> None:
        async with page(server, "bar") as stays:
            await stays.recv()
            async with page(server, "bar") as leaves:
                await leaves.recv()
                leaves.transport.abort()
            await stays.send(json.dumps({"move": "last", "text": ""}))
            assert json.loads(await stays.recv())["window"]["end"] == session.count

    served(session, web, story)


def test_the_command(log: Path, tmp_path: Path) -> None:
    """The command says where the page is, and ends well when it is told to."""
    cache = tmp_path / "cache" / "mina-p2p" / "redux-devtools-8.0.0" / "package/build/web/js"
    cache.mkdir(parents=True)
    (cache / "app.js").write_text("genuine")
    command = [sys.executable, "-m", "mina_p2p_effects.cli", "devtools", str(log), "--json", "--follow"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={"XDG_CACHE_HOME": str(tmp_path / "cache"), "PATH": ""}
    ) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert get(told["url"])[0] == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_the_command_follows(log: Path, tmp_path: Path) -> None:
    """With --follow a browser is told what a growing log has grown by."""
    cache = tmp_path / "cache" / "mina-p2p" / "redux-devtools-8.0.0" / "package/build/web/js"
    cache.mkdir(parents=True)
    (cache / "app.js").write_text("genuine")
    data = log.read_bytes()
    with open_session(log) as whole:
        cut, count = whole.files[0].directory.offsets[-1], whole.count
    growing = tmp_path / "growing.log"
    growing.write_bytes(data[:cut])

    async def watch(url: str) -> None:
        async with connect(url.replace("http", "ws") + "bar", origin=url.rstrip("/")) as bar:  # type: ignore[arg-type]
            assert json.loads(await bar.recv())["count"] < count
            await bar.send(json.dumps({"move": "last", "text": ""}))
            await bar.recv()
            with growing.open("ab") as file:
                file.write(data[cut:])
            assert json.loads(await asyncio.wait_for(bar.recv(), 60))["window"]["end"] == count

    command = [sys.executable, "-m", "mina_p2p_effects.cli", "devtools", str(growing), "--json", "--follow"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={"XDG_CACHE_HOME": str(tmp_path / "cache"), "PATH": ""}
    ) as process:
        assert process.stdout is not None
        try:
            asyncio.run(watch(json.loads(process.stdout.readline())["url"]))
        finally:
            process.terminate()
        assert process.wait(60) == 0


def test_command_line_faults(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """No interface and no npm is exit code 2 with what to do; so is a window that is too large."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("MINA_P2P_DEVTOOLS_PACKAGE", raising=False)
    assert main(["devtools", str(log)]) == 2
    assert "npm is not installed" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["devtools", str(log), "--window", "501"])


def test_without_the_extra(log: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without websockets the command names the extra, before it fetches anything."""
    monkeypatch.delitem(sys.modules, "mina_p2p_effects.devtools.server")
    monkeypatch.setitem(sys.modules, "websockets.asyncio.server", None)
    assert main(["devtools", str(log)]) == 2
    assert "pip install 'mina-p2p[ui]'" in capsys.readouterr().err
