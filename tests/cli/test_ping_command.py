"""``mina-p2p ping`` against nodes on this machine: every step, every way to fail, over both transports."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any

import pytest
from libp2p.nodes import Node as Libp2pPeer
from node.nodes import make_quic, run
from support.network import network_node

from mina_p2p.address import Ipv4, Libp2pAddress
from mina_p2p.config import Limits
from mina_p2p.connection.hello import HELLO, Hello
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.identity import DEVNET_CHAIN_ID, MAINNET_CHAIN_ID
from mina_p2p.ids import ConnectionId
from mina_p2p.transport import (
    ConnectionEffectfulAccept,
    ConnectionEffectfulHelloSend,
    ConnectionEffectfulReject,
    ConnectionHelloReceived,
    ConnectionIncomingReceived,
    SocketAddress,
    TransportKind,
)
from mina_p2p_effects.cli import main
from mina_p2p_effects.cli.ping.causes import Cause, StepName, advice
from mina_p2p_effects.cli.ping.reach import first_to_answer
from mina_p2p_effects.cli.ping.report import NotReachedError, clean
from mina_p2p_effects.keyfile import reveal_key_line
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.transports.libp2p.events import Upgraded
from mina_p2p_effects.transports.quic import QuicTransport

needs_pnet = pytest.mark.skipif(find_spec("Crypto") is None, reason="pycryptodome is not installed; it comes with the extra `libp2p`")

US, THEM, OTHER = SecretKey.deterministic(1), SecretKey.deterministic(2), SecretKey.deterministic(3)
LIBP2P_STEPS = ["name", "connect", "network", "security", "identity", "muxer", "identify", "ping"]
QUIC_STEPS = ["name", "first answer", "network", "identity", "hello", "ping"]

Captured = pytest.CaptureFixture[str]


async def ping(capsys: Captured, address: object, *options: str, key: SecretKey | None = US, network: str = "devnet") -> tuple[int, Any]:
    """Ping beside the loop that the pinged node runs on; exit code and what was printed, as JSON."""
    who = [] if key is None else ["--libp2p-keypair", reveal_key_line(key)]
    code = await asyncio.to_thread(main, ["ping", str(address), "--network", network, "--json", *who, *options])
    return code, json.loads(capsys.readouterr().out)


def steps_of(told: Any) -> dict[str, bool | None]:
    return {step["name"]: step["ok"] for step in told["steps"]}


def failed(told: Any) -> tuple[str, str]:
    """The step that failed and the typed reason; that step is the last one, and the only one."""
    assert [step["ok"] for step in told["steps"]].count(False) == 1
    assert (told["steps"][-1]["ok"], told["steps"][-1]["name"]) == (False, told["result"]["step"])
    assert told["result"]["advice"] == advice(Cause[told["result"]["reason"]], StepName(told["result"]["step"]))
    return told["result"]["step"], told["result"]["reason"]


@asynccontextmanager
async def tcp(serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]) -> AsyncGenerator[Libp2pAddress]:
    """A service of any kind; its address with a peer id."""
    writers: list[asyncio.StreamWriter] = []

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        serve(reader, writer)

    server = await asyncio.start_server(accepted, "127.0.0.1")
    try:
        yield Libp2pAddress(THEM.peer_id, Ipv4.of(127, 0, 0, 1), server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)


# --- libp2p


@needs_pnet
def test_a_libp2p_node_is_reached_in_eight_steps(capsys: Captured) -> None:
    async def main_() -> None:
        async with network_node(2) as node:
            code, told = await ping(capsys, node.address, "--count", "5")
        assert code == 0
        assert steps_of(told) == dict.fromkeys(LIBP2P_STEPS, True)
        assert told["result"] == {"reached": True}
        assert (told["transport"], told["own_peer_id"]) == ("libp2p", US.peer_id.libp2p)
        by_name = {step["name"]: step.get("facts") for step in told["steps"]}
        assert by_name["identity"] == {"peer_id": THEM.peer_id.libp2p}
        assert by_name["muxer"] == {"muxer": "/coda/yamux/1.0.0", "early": True}
        assert "/ipfs/ping/1.0.0" in by_name["identify"]["protocols"]
        assert by_name["identify"]["observed"].startswith("/ip4/127.0.0.1/tcp/")
        assert by_name["identify"]["agent"]
        assert len(by_name["ping"]["round_trips"]) == 5
        times = [step["at"] for step in told["steps"]]
        assert times == sorted(times)

    run(main_())


@needs_pnet
def test_what_a_libp2p_node_does_not_offer_is_no_failure(capsys: Captured) -> None:
    """Neither identify nor ping, and the muxer by multistream: reached all the same."""

    async def main_() -> None:
        async with Libp2pPeer(2, has_early_muxer=False) as peer:
            code, told = await ping(capsys, peer.dial_address)
        assert code == 0
        assert steps_of(told) == {**dict.fromkeys(LIBP2P_STEPS, True), "identify": None, "ping": None}
        assert {step["name"]: step.get("facts") for step in told["steps"]}["muxer"]["early"] is False

    run(main_())


@needs_pnet
@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"network_key": MAINNET_CHAIN_ID.libp2p_network_key}, ("network", "WRONG_NETWORK")),
        ({"muxers": ("/yamux/2.0.0",)}, ("muxer", "NO_COMMON_PROTOCOL")),
    ],
    ids=["another network", "another muxer"],
)
def test_a_libp2p_node_that_does_not_fit(capsys: Captured, options: dict[str, Any], where: tuple[str, str]) -> None:
    async def main_() -> None:
        async with Libp2pPeer(2, **options) as peer:
            code, told = await ping(capsys, peer.dial_address)
        assert (code, failed(told)) == (1, where)

    run(main_())


@needs_pnet
def test_another_libp2p_node_than_the_one_dialled(capsys: Captured) -> None:
    """The report says who it is instead; and where it is ourselves, that."""

    async def main_() -> None:
        async with Libp2pPeer(2) as peer:
            wrong = peer.dial_address.replace(peer_id=OTHER.peer_id)
            code, told = await ping(capsys, wrong)
            assert (code, failed(told)) == (1, ("identity", "WRONG_PEER"))
            assert THEM.peer_id.libp2p in told["result"]["detail"]
            code, told = await ping(capsys, peer.dial_address, key=THEM)
            assert (code, failed(told)) == (1, ("identity", "SELF"))

    run(main_())


@needs_pnet
def test_a_libp2p_node_that_hangs_up_once_it_knows_who_calls(capsys: Captured) -> None:
    """As one that has banned the peer id does; what to do names that."""

    async def main_() -> None:
        async with Libp2pPeer(2) as peer:

            def hang_up(number: int, event: object) -> None:
                if isinstance(event, Upgraded):
                    peer.endpoint.close(number, Reason(ReasonCode.PEER_BANNED))

            peer.on_event = hang_up
            code, told = await ping(capsys, peer.dial_address)
        assert (code, failed(told)) == (1, ("identify", "CLOSED"))
        assert "banned" in told["result"]["advice"]

    run(main_())


@needs_pnet
def test_a_service_that_is_no_node(capsys: Captured) -> None:
    """It hangs up at once, speaks another language, or says nothing: each is named, at the step where it was noticed."""

    def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.9\r\n" * 10)

    def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None: ...

    async def main_() -> None:
        async with tcp(hang_up) as address:
            code, told = await ping(capsys, address)
            assert (code, failed(told)) == (1, ("network", "CLOSED"))
        async with tcp(talk) as address:
            code, told = await ping(capsys, address)
            assert (code, failed(told)) == (1, ("network", "WRONG_NETWORK"))
        async with tcp(say_nothing) as address:
            code, told = await ping(capsys, address, "--timeout", "0.2")
            assert (code, failed(told)) == (1, ("network", "NO_ANSWER"))

    run(main_())


def test_without_the_extra_it_is_named_before_anything_is_dialled(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "Crypto.Cipher.Salsa20", None)
    monkeypatch.setitem(sys.modules, "Crypto.Cipher", None)
    assert main(["ping", f"/ip4/127.0.0.1/tcp/1/p2p/{THEM.peer_id.libp2p}"]) == 2
    told = capsys.readouterr()
    assert "pip install 'mina-p2p[libp2p]'" in told.err
    assert "connect" not in told.out


# --- QUIC


def test_a_quic_node_is_reached_in_six_steps(capsys: Captured) -> None:
    """By a key of its own, a node from everyday use."""

    async def main_() -> None:
        async with make_quic(2, chain_id=DEVNET_CHAIN_ID, agent="agent\x1b[2J") as node:
            code, told = await ping(capsys, node.addresses[0], "--count", "4", key=None)
        assert code == 0, told
        assert steps_of(told) == dict.fromkeys(QUIC_STEPS, True)
        by_name = {step["name"]: step.get("facts") for step in told["steps"]}
        assert by_name["network"] == {"alpn": DEVNET_CHAIN_ID.quic_alpn}
        assert by_name["identity"] == {"peer_id": THEM.peer_id.libp2p}
        assert by_name["hello"]["chain_id"] == DEVNET_CHAIN_ID.hex()
        assert by_name["hello"]["agent"] == "agent?[2J"
        assert "best_tip" in by_name["hello"]["channels"]
        assert len(by_name["ping"]["round_trips"]) == 4
        assert told["own_peer_id"] not in {US.peer_id.libp2p, THEM.peer_id.libp2p}

    run(main_())


def test_a_quic_node_that_does_not_want_us(capsys: Captured) -> None:
    """Of another chain; another peer than the dialled one; with us banned; full: each by its own reason, in its own step."""

    async def main_() -> None:
        async with make_quic(2, chain_id=DEVNET_CHAIN_ID, limits=Limits(peers_max=1, peers_min=0)) as node:
            (address,) = node.addresses
            code, told = await ping(capsys, address, network="mainnet")
            assert (code, failed(told)) == (1, ("network", "WRONG_NETWORK"))
            code, told = await ping(capsys, address.replace(peer_id=OTHER.peer_id))
            assert (code, failed(told)) == (1, ("identity", "WRONG_PEER"))
            assert THEM.peer_id.libp2p in told["result"]["detail"]
            assert node.ban(US.peer_id, 3600.0)
            code, told = await ping(capsys, address)
            assert (code, failed(told)) == (1, ("hello", "BANNED"))
            async with make_quic(3, chain_id=DEVNET_CHAIN_ID) as first:
                await first.connect(address)
                code, told = await ping(capsys, address, key=None)
                assert (code, failed(told)) == (1, ("hello", "FULL"))

    run(main_())


class Scripted:
    """A QUIC listener whose hello a test decides; ``None`` rejects with a reason."""

    def __init__(self, hello: bytes | None, reason: Reason | None = None) -> None:
        self.transport = QuicTransport(THEM, DEVNET_CHAIN_ID, "127.0.0.1", 0)
        self._hello = hello
        self._reason = reason

    async def __aenter__(self) -> str:
        bound = await self.transport.start(self._feed)
        return f"/ip4/127.0.0.1/udp/{bound.port}/quic-v1/p2p/{THEM.peer_id.libp2p}"

    async def __aexit__(self, *_: object) -> None:
        await self.transport.stop()

    def _feed(self, event: Any) -> None:
        match event:
            case ConnectionIncomingReceived(handle=handle) if self._reason is not None:
                self.transport.perform(ConnectionEffectfulReject(TransportKind.QUIC, handle, self._reason))
            case ConnectionIncomingReceived(handle=handle):
                self.transport.perform(ConnectionEffectfulAccept(TransportKind.QUIC, handle, ConnectionId(7)))
            case ConnectionHelloReceived(connection_id=connection_id) if self._hello is not None:
                self.transport.perform(ConnectionEffectfulHelloSend(connection_id, self._hello))
            case _:
                pass


HELLO_OF_MAINNET = HELLO.encode(Hello(1, 1, bytes(MAINNET_CHAIN_ID), (), (), ""))
HELLO_OF_TOMORROW = HELLO.encode(Hello(90, 91, bytes(DEVNET_CHAIN_ID), (), (), ""))


@pytest.mark.parametrize(
    ("hello", "code", "cause"),
    [
        (HELLO_OF_MAINNET, None, "WRONG_NETWORK"),
        (HELLO_OF_TOMORROW, None, "NO_COMMON_PROTOCOL"),
        (b"\xff" * 9, None, "BROKE_PROTOCOL"),
        (None, ReasonCode.PEER_CAPACITY_FULL, "FULL"),
        (None, ReasonCode.ALREADY_CONNECTED, "ALREADY_CONNECTED"),
        (None, ReasonCode.TARGET_PEER_ID_NOT_ME, "WRONG_PEER"),
        (None, ReasonCode.SHUTDOWN, "CLOSED"),
    ],
)
def test_what_comes_in_place_of_a_good_hello(capsys: Captured, hello: bytes | None, code: ReasonCode | None, cause: str) -> None:
    async def main_() -> None:
        async with Scripted(hello, None if code is None else Reason(code, detail="go away")) as address:
            exit_code, told = await ping(capsys, address)
        assert (exit_code, failed(told)) == (1, ("hello", cause))
        if code is not None:
            assert "go away" in told["result"]["detail"]

    run(main_())


def test_a_quic_node_that_says_no_hello_is_given_up_at_that_step(capsys: Captured) -> None:
    async def main_() -> None:
        async with Scripted(None) as address:
            code, told = await ping(capsys, address, "--timeout", "0.5")
        assert (code, failed(told)) == (1, ("hello", "NO_ANSWER"))

    run(main_())


# --- getting there at all


@needs_pnet
def test_nobody_listens(capsys: Captured) -> None:
    """Refused, over either transport."""

    async def main_() -> None:
        with socket.socket() as held, socket.socket(type=socket.SOCK_DGRAM) as other:
            for taken in (held, other):
                taken.bind(("127.0.0.1", 0))
            port, udp = held.getsockname()[1], other.getsockname()[1]
            code, told = await ping(capsys, f"/ip4/127.0.0.1/tcp/{port}/p2p/{THEM.peer_id.libp2p}")
            assert (code, failed(told)) == (1, ("connect", "REFUSED"))
            # That socket is bound and never read.
            code, told = await ping(capsys, f"/ip4/127.0.0.1/udp/{udp}/quic-v1/p2p/{THEM.peer_id.libp2p}", "--timeout", "0.2")
            assert (code, failed(told)) == (1, ("first answer", "NO_ANSWER"))
        code, told = await ping(capsys, f"/ip4/127.0.0.1/udp/{udp}/quic-v1/p2p/{THEM.peer_id.libp2p}")
        assert (code, failed(told)) == (1, ("first answer", "REFUSED"))

    run(main_())


@needs_pnet
def test_a_name_is_resolved_to_all_its_addresses(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that fail before the one that answers are told; a name without any address ends the ping."""
    names = {"two.test": ["::1", "127.0.0.1"], "local.test": ["127.0.0.1"]}

    def getaddrinfo(host: str, port: int, *options: Any, **more: Any) -> Any:
        if host not in names and not host.startswith(("127.", ":")):
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [entry for numeric in names.get(host, [host]) for entry in real(numeric, port, *options, **more)]

    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    async def main_() -> None:
        async with Libp2pPeer(2) as peer:
            tail = f"tcp/{peer.address.port}/p2p/{THEM.peer_id.libp2p}"
            code, told = await ping(capsys, f"/dns4/two.test/{tail}")
            assert code == 0
            assert told["steps"][0]["facts"] == {"addresses": ["::1", "127.0.0.1"]}
            assert told["steps"][1]["facts"] == {"remote": f"127.0.0.1:{peer.address.port}"}
            assert f"before it [::1]:{peer.address.port}" in told["steps"][1]["detail"]
            code, told = await ping(capsys, f"/dns4/none.test/{tail}")
            assert (code, failed(told)) == (1, ("name", "NAME_UNKNOWN"))

    run(main_())


@needs_pnet
@pytest.mark.parametrize("way", ["udp/1/quic-v1", "tcp/1"])
def test_there_is_no_way(capsys: Captured, way: str) -> None:
    """The operating system refuses to send to such an address: it is no service's."""

    async def main_() -> None:
        code, told = await ping(capsys, f"/ip4/255.255.255.255/{way}/p2p/{THEM.peer_id.libp2p}")
        assert (code, failed(told)) == (1, ("connect" if "tcp" in way else "first answer", "UNREACHABLE"))

    run(main_())


def test_of_several_addresses_the_most_telling_failure_counts() -> None:
    """A refusal says more than silence; the time is shared among all of them."""
    errors = {"a": OSError(errno.ENETUNREACH, ""), "b": None, "c": ConnectionRefusedError()}

    async def attempt(address: SocketAddress) -> None:
        error = errors[address.host]
        if error is not None:
            raise error
        await asyncio.Event().wait()

    async def main_() -> None:
        end = asyncio.get_running_loop().time() + 0.2
        with pytest.raises(NotReachedError) as caught:
            await first_to_answer([SocketAddress(host, 1) for host in errors], end, attempt)
        assert caught.value.cause is Cause.REFUSED
        assert f"a:1: {os.strerror(errno.ENETUNREACH)}; b:1 did not answer within" in caught.value.detail

    run(main_())


# --- the command


def test_people_see_each_step_and_what_to_do(capsys: Captured) -> None:
    async def main_() -> None:
        async with make_quic(2, chain_id=DEVNET_CHAIN_ID) as node:
            address = str(node.addresses[0])
            assert await asyncio.to_thread(main, ["ping", address, "--network", "devnet", "--count", "1"]) == 0
            good = capsys.readouterr().out.splitlines()
            assert await asyncio.to_thread(main, ["ping", address]) == 1
            bad = capsys.readouterr().out.splitlines()
        assert good[0] == address
        assert [name for name, line in zip(QUIC_STEPS, good[2:-1], strict=True) if f"  ok      {name} " not in line] == []
        assert "1 round trip: least" in good[-2]
        assert good[-1] == "reached"
        assert "  FAILED  network " in bad[-3]
        assert bad[-2:] == ["not reached: WRONG_NETWORK in the step network", advice(Cause.WRONG_NETWORK, StepName.NETWORK)]

    run(main_())


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["/ip4/" + 5000 * "1"],
        ["/ip4/127.0.0.1/tcp/8302"],
        [f"/{THEM.peer_id}/http/127.0.0.1/8302"],
        [f"/ip4/127.0.0.1/tcp/1/p2p/{THEM.peer_id.libp2p}", "--network", "nowhere"],
        [f"/ip4/127.0.0.1/tcp/1/p2p/{THEM.peer_id.libp2p}", "--libp2p-keypair", "nokey"],
    ],
)
def test_wrong_usage_is_2(arguments: list[str], capsys: Captured) -> None:
    assert main(["ping", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("mina-p2p ping: ")
    assert len(said) < 500


@pytest.mark.parametrize("options", [["--count", "0"], ["--timeout", "0"], ["--timeout", "nan"]])
def test_numbers_out_of_bounds_are_2(options: list[str], capsys: Captured) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["ping", f"/ip4/127.0.0.1/tcp/1/p2p/{THEM.peer_id.libp2p}", *options])
    assert ended.value.code == 2


def test_there_is_advice_for_every_cause_at_every_step() -> None:
    for cause in Cause:
        for step in StepName:
            assert advice(cause, step).endswith(".")


def test_texts_of_peers_do_not_reach_the_terminal_as_they_are() -> None:
    assert clean("a\x1b[31m\nb" + 500 * "c") == "a?[31m?b" + 192 * "c"
