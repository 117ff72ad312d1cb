"""``mina-p2p node`` among foreign nodes: one seed address is enough to find them all, and to be found by who comes later."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from interop.nodes import foreign, joined, peer_id
from interop.peers import DEADLINE_S
from interop.running import KINDS, run
from mina_p2p.identity import PeerId
from mina_p2p.libp2p.protocols import NODE_STATUS
from mina_p2p_effects.keyfile import reveal_key_line
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.replay import replay_path

COMMAND = (sys.executable, "-m", "mina_p2p_effects.cli", "node", "--network", "devnet", "--json", "--every", "0.5")


class Running:
    """The command as a process, and what it has said."""

    def __init__(self, process: asyncio.subprocess.Process, key: SecretKey) -> None:
        self._process = process
        self.libp2p = key.peer_id.libp2p
        self.seen: list[dict[str, Any]] = []

    async def until(self, event: str, **fields: object) -> dict[str, Any]:
        """The first such event, past or future; fails when it does not come."""
        for known in self.seen:
            if _is(known, event, fields):
                return known
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await self._read(event, fields)
        except TimeoutError:
            pytest.fail(f"no {event} with {fields} in {[one for one in self.seen if one['event'] != 'status']}")

    async def _read(self, event: str, fields: dict[str, object]) -> dict[str, Any]:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.seen.append(json.loads(line))
            if _is(self.seen[-1], event, fields):
                return self.seen[-1]
        raise AssertionError((event, fields, self.seen))

    def send(self, number: int) -> None:
        self._process.send_signal(number)


def _is(said: dict[str, Any], event: str, fields: dict[str, object]) -> bool:
    return said["event"] == event and all(said[name] == value for name, value in fields.items())


@asynccontextmanager
async def command(number: int, *arguments: str) -> AsyncGenerator[Running]:
    """A node of ours that ends with exit code 0."""
    key = SecretKey.deterministic(number)
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "--libp2p-keypair", reveal_key_line(key), *arguments, stdout=asyncio.subprocess.PIPE, limit=1 << 20
    )
    try:
        yield Running(process, key)
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            await process.stdout.read()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def who(number: int) -> str:
    """A foreign node as our command writes it."""
    return str(PeerId.parse(peer_id(number)))


@pytest.mark.parametrize("transport", ["libp2p", "both"])
@pytest.mark.parametrize("kind", KINDS)
@run
async def test_the_command_finds_all_and_a_newcomer_finds_it(programs: Any, kind: str, transport: str, tmp_path: Path):
    """It listens on every interface and knows the seed's address only. When it dials no more, a node that knows only the seed
    comes to it by itself. The log of all that replays, and holds no secret."""
    arguments = ("--transport", transport, "--listen", "127.0.0.1:0", "--libp2p-listen", "/ip4/0.0.0.0/tcp/0", "--log", str(tmp_path))
    async with AsyncExitStack() as stack:
        seed = await foreign(stack, programs(kind), 60)
        for number in (61, 62, 63):
            await joined(await foreign(stack, programs(kind), number), seed.address, peer_id(60))
        we = await stack.enter_async_context(command(7, "--peer", seed.address, *arguments))
        for number in (60, 61, 62, 63):
            await we.until("identified", peer_id=who(number))
        await seed.until("table", we.libp2p)
        we.send(signal.SIGUSR1)
        await we.until("dialling", allowed=False)
        newcomer = await foreign(stack, programs(kind), 64)
        await joined(newcomer, seed.address, peer_id(60))
        assert (await we.until("connected", peer_id=who(64)))["incoming"] is True
        await newcomer.until("peers", we.libp2p)
    (log,) = replay_path(tmp_path)
    assert log.is_verified
    assert SecretKey.deterministic(7).reveal_seed() not in log.path.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
@run
async def test_the_command_is_the_seed(programs: Any, kind: str):
    """Foreign nodes that know only it find each other through it, and a node of ours finds them."""
    listen = ("--transport", "libp2p", "--libp2p-listen", "/ip4/127.0.0.1/tcp/0")
    async with AsyncExitStack() as stack:
        seed = await stack.enter_async_context(command(7, "--seed", *listen))
        (address,) = (await seed.until("listening"))["addresses"]
        peers = [await foreign(stack, programs(kind), number) for number in (61, 62)]
        for peer in peers:
            await joined(peer, address, seed.libp2p)
        await peers[1].until("peers", peer_id(61))
        other = await stack.enter_async_context(command(8, "--peer", address, *listen))
        for number in (61, 62):
            await other.until("identified", peer_id=who(number))


@pytest.mark.parametrize("kind", ["go", "ocaml"])
@run
async def test_nodes_of_go_read_its_status(programs: Any, kind: str):
    """On a stream on which they say nothing, to its end, as OCaml's helper does; js-libp2p loses what comes with the agreement."""
    async with AsyncExitStack() as stack:
        we = await stack.enter_async_context(command(7, "--seed", "--transport", "libp2p", "--libp2p-listen", "/ip4/127.0.0.1/tcp/0"))
        (address,) = (await we.until("listening"))["addresses"]
        peer = await foreign(stack, programs(kind), 60)
        await peer.do("connect", addr=address)
        said = await peer.do("read", peer=we.libp2p, protocol=NODE_STATUS.name)
        assert json.loads(bytes.fromhex(said["data"]))["node_peer_id"] == we.libp2p
