"""Nodes of other implementations as processes that obey lines of JSON.

With ``MINA_P2P_INTEROP=1`` the tests must run: the Go node's modules and the JavaScript one's packages
are fetched where they are not there yet, and whatever is missing is a failure. Without it nothing is
fetched, and what is missing is a reason to skip.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, NoReturn, Self

import pytest

HERE = Path(__file__).resolve().parent
DEADLINE_S = 60.0
_BUILD_S = 900


def _must_run() -> bool:
    return os.environ.get("MINA_P2P_INTEROP") == "1"


def unavailable(reason: str) -> NoReturn:
    """Skip, or fail where the tests must run."""
    if _must_run():
        pytest.fail(reason)
    pytest.skip(f"{reason} (MINA_P2P_INTEROP=1 fetches what it can, and fails without)", allow_module_level=True)


def _run(command: list[str], folder: Path, what: str) -> None:
    environment = {**os.environ, **({} if _must_run() else {"GOPROXY": "off"})}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=_BUILD_S)
    if result.returncode != 0:
        unavailable(f"{what} failed: {result.stderr.strip()[-400:]}")


@cache
def command_of(kind: str, folder: Path) -> list[str]:
    """How a node is started; ``folder`` takes what is built.

    :param kind: ``go``: today's go-libp2p; ``ocaml``: go-libp2p in the versions of OCaml nodes; ``js``: js-libp2p.
    """
    if kind == "go":
        compiler = shutil.which("go")
        if compiler is None:
            unavailable("Go is not installed")
        return _build([compiler, "build"], folder / "go-peer")
    if kind == "ocaml":
        # Only this version builds the QUIC library that the old go-libp2p comes with.
        compiler = os.environ.get("MINA_P2P_GO_1_19") or shutil.which("/usr/lib/go-1.19/bin/go")
        if compiler is None:
            pytest.skip("Go 1.19 is not there: install Debian's golang-1.19-go, or set MINA_P2P_GO_1_19 to its `go`")
        return _build([compiler, "build", "-modfile=ocaml.mod", "-tags=ocaml"], folder / "go-peer-ocaml")
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        unavailable("Node.js and npm are not installed")
    if not (HERE / "js" / "node_modules").is_dir():
        if not _must_run():
            unavailable("js-libp2p is not installed")
        _run([npm, "ci", "--no-audit", "--no-fund"], HERE / "js", "installing js-libp2p")
    return [node, str(HERE / "js" / "peer.mjs")]


def _build(command: list[str], program: Path) -> list[str]:
    _run([*command, "-o", str(program), "."], HERE / "go", f"building {program.name}")
    return [str(program)]


class PeerError(Exception):
    """The other node answered with an error."""


class Peer:
    """One running node."""

    def __init__(self, command: list[str], seed: bytes, network_key: bytes | None) -> None:
        self._command = [*command, "--seed", seed.hex(), *(["--psk", network_key.hex()] if network_key is not None else [])]
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._events: list[dict[str, Any]] = []
        self._news = asyncio.Event()
        self._count = 0
        self.address = ""
        """A multiaddress to dial, with the peer id."""

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(*self._command, stdin=pipe, stdout=pipe, limit=1 << 24)
        self._reading = asyncio.create_task(self._read())
        ready = await self.event("ready")
        address, peer_id = ready["addrs"][0], ready["peer_id"]
        self.address = address if "/p2p/" in address else f"{address}/p2p/{peer_id}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            try:
                await asyncio.wait_for(self._process.wait(), 5)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        if self._reading is not None:
            await self._reading

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            if "id" in said:
                self._answers.pop(said["id"]).set_result(said)
            else:
                self._events.append(said)
                self._news.set()
        for waiting in self._answers.values():
            waiting.set_result({"error": "the node ended"})

    async def do(self, what: str, **arguments: Any) -> dict[str, Any]:
        """Give an order and wait for its answer; :raises PeerError: for an error."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._count += 1
        answer = self._answers[self._count] = asyncio.get_running_loop().create_future()
        self._process.stdin.write(json.dumps({"id": self._count, "do": what, **arguments}).encode() + b"\n")
        async with asyncio.timeout(DEADLINE_S):
            said = await answer
        if "error" in said:
            raise PeerError(said["error"])
        return said

    async def until(self, what: str, member: str) -> None:
        """Ask until ``member`` is in the list of peers that the order gives."""
        async with asyncio.timeout(DEADLINE_S):
            while member not in (await self.do(what))["peers"]:
                # The other node has no event for this, and asking without a pause would only slow it.
                assert self._reading is not None
                await asyncio.wait((self._reading,), timeout=0.05)

    async def event(self, kind: str) -> dict[str, Any]:
        """Take the next event of that kind."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                for said in self._events:
                    if said["event"] == kind:
                        self._events.remove(said)
                        return said
                self._news.clear()
                await self._news.wait()
