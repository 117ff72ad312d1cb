"""One run of ``mina-p2p node``: listen, say what happens, end in order."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Generator
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any, cast

import attrs
from rich.live import Live

from mina_p2p.address import DialAddress, Libp2pAddress, QuicAddress
from mina_p2p.errors import CallerError, InvariantViolationError
from mina_p2p.libp2p.actions import NetworkDial
from mina_p2p.libp2p.node_status.actions import NetworkStatusSet
from mina_p2p.peer.actions import PeerDiscovered
from mina_p2p.peer.state import PeerSource
from mina_p2p_effects.cli.console import Console
from mina_p2p_effects.cli.node.node_status import TOLD_EVERY_S, node_status
from mina_p2p_effects.cli.node.peers import ASK_AGAIN_S, ASK_SOON_S, fetch_list, read_list_file
from mina_p2p_effects.cli.node.screen import screen
from mina_p2p_effects.cli.node.settings import NETWORKS, Settings
from mina_p2p_effects.cli.node.software import Software
from mina_p2p_effects.metrics.endpoint import MetricsEndpoint
from mina_p2p_effects.metrics.meter import Meter
from mina_p2p_effects.metrics.opentelemetry import OtlpExport
from mina_p2p_effects.metrics.prometheus import Exposition
from mina_p2p_effects.metrics.status import Status, status_json, take_status
from mina_p2p_effects.node import Node, NodeConfig

EXIT_BUG = 1
LONELY_S = 30.0
"""Without a connection for so long, a node that knows somebody says what its operator can do."""


@attrs.frozen(kw_only=True)
class Display:
    """What the operator wants to see, and for how long."""

    is_json: bool
    is_live: bool
    every_s: float
    """Between two looks at the status."""
    metrics_host: str
    metrics_port: int | None
    otlp_endpoint: str | None
    stop_after_s: float | None


class Service:
    """One node with its node software and its windows."""

    def __init__(self, settings: Settings, display: Display) -> None:
        self._settings = settings
        self._display = display
        self._dials: tuple[type[DialAddress], ...] = (
            *(() if settings.quic is None else (QuicAddress,)),
            *(() if settings.libp2p is None else (Libp2pAddress,)),
        )
        self._console = Console(highlight=False, soft_wrap=True)
        self._began = time.monotonic()
        self._told = asyncio.Event()
        self._has_list = False
        """Whether a list at a URL has come."""
        self._live: Live | None = None
        self._otlp: OtlpExport | None = None

    async def run(self) -> int:
        """Until a signal, or for as long as was asked for.

        :returns: the exit code.
        :raises OSError: where an address can not be bound or a file not be read or written.
        """
        self._stop_on_signals()
        settings = self._settings
        for note in settings.notes:
            self._warn(note)
        first = list(settings.sources.addresses)
        if settings.sources.file is not None:
            first += read_list_file(settings.sources.file, self._warn)
        if settings.sources.url is not None:
            first += await self._fetch(settings.sources.url)
        known = self._dialable(first)
        if not known and not settings.is_seed:
            self._warn("there is nobody to dial; this node waits until others come")
        node = Node(self._config(known))
        meter = Meter(node.store)
        software = Software(node, self._tell, is_everything_valid=settings.is_everything_valid)
        self._node, self._meter, self._software = node, meter, software
        async with AsyncExitStack() as stack:
            stack.enter_context(_warnings_to(self._warn))
            where = f"{settings.host} port {settings.port}"
            if settings.libp2p is not None and settings.libp2p_listen != (settings.host, settings.port):
                where += ", or {} port {} for libp2p".format(*settings.libp2p_listen)
            self._dial_on_signals()
            with _binding(where, "--listen or --libp2p-listen"):
                await stack.enter_async_context(node)
            if self._is_status_told:
                self._tell_status()
            self._say_listening()
            if self._display.metrics_port is not None:
                exposition = Exposition()
                endpoint = MetricsEndpoint(lambda: exposition.render(self.status()), self._display.metrics_host, self._display.metrics_port)
                where = f"{self._display.metrics_host} port {self._display.metrics_port}"
                with _binding(where, "--metrics-ip and --metrics-port"):
                    address = await stack.enter_async_context(endpoint)
                self._tell("metrics", {"url": f"http://{address.host}:{address.port}/metrics"})
            if self._display.otlp_endpoint is not None:
                export = OtlpExport(self._display.otlp_endpoint, every_s=self._display.every_s, peer_id=str(node.peer_id))
                self._otlp = stack.enter_context(export)
            if self._display.is_live:
                self._live = stack.enter_context(Live(console=self._console, refresh_per_second=2, transient=False))
            if known:
                advice = asyncio.get_running_loop().call_later(LONELY_S, self._advise_when_lonely, known)
                stack.callback(advice.cancel)
            code = await self._until_stopped()
        self._live = None
        self._tell("stopped", {"uptime_s": round(time.monotonic() - self._began, 3)})
        return code

    def status(self) -> Status:
        """The present moment."""
        return take_status(
            self._node,
            network=self._settings.network,
            addresses=tuple(self._node.addresses),
            uptime_s=time.monotonic() - self._began,
            items=self._software.items,
            totals=self._meter.totals,
        )

    def _config(self, initial: tuple[DialAddress, ...]) -> NodeConfig:
        settings = self._settings
        record_to = None
        if settings.log_dir is not None:
            settings.log_dir.mkdir(parents=True, exist_ok=True)
            record_to = settings.log_dir / f"node-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{str(settings.secret_key.peer_id)[:8]}.log"
        return NodeConfig(
            secret_key=settings.secret_key,
            chain_id=settings.chain_id,
            host=settings.host,
            port=settings.port,
            external_hosts=settings.external,
            initial_peers=initial,
            peers_file=settings.peers_file,
            limits=settings.limits,
            seed=settings.random_seed,
            is_discovery_enabled=settings.is_discovery_enabled,
            address_gossip=settings.address_gossip,
            are_private_addresses_allowed=settings.are_private_addresses_allowed,
            record_to=record_to,
            record_rotate_bytes=1_000_000 * settings.log_rotate_mb,
            record_rotate_after_s=None if settings.log_rotate_hours is None else 3600 * settings.log_rotate_hours,
            quic=settings.quic,
            libp2p=settings.libp2p,
            libp2p_listen=settings.libp2p_listen,
        )

    def _dialable(self, addresses: list[DialAddress]) -> tuple[DialAddress, ...]:
        """Those that our transports can dial; how many are left out is said once."""
        found = tuple(dict.fromkeys(address for address in addresses if isinstance(address, self._dials)))
        others = len(set(addresses)) - len(found)
        if others:
            self._warn(f"{others} of {len(set(addresses))} peers have addresses of other transports and are left out")
        return found

    # --- the run ---------------------------------------------------------------------------

    async def _until_stopped(self) -> int:
        parts: list[Coroutine[Any, Any, Any]] = [self._software.run(), self._told.wait(), self._show_regularly()]
        if self._settings.sources.url is not None:
            parts.append(self._ask_for_lists(self._settings.sources.url))
        if self._is_status_told:
            parts.append(self._tell_status_regularly())
        tasks = [asyncio.ensure_future(part) for part in parts]
        try:
            await asyncio.wait(tasks, timeout=self._display.stop_after_s, return_when=asyncio.FIRST_COMPLETED)
            failed = [task.exception() for task in tasks if task.done()]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._show()
        for error in failed:
            if isinstance(error, InvariantViolationError):
                self._warn(f"stopped by a bug of this program: {error}")
                return EXIT_BUG
            if error is not None:
                raise error
        return 0

    async def _show_regularly(self) -> None:
        while True:
            self._show()
            await asyncio.sleep(self._display.every_s)

    def _show(self) -> None:
        status = self.status()
        if self._otlp is not None:
            self._otlp.update(status)
        if self._display.is_json:
            self._tell("status", status_json(status))
        elif self._live is not None:
            self._live.update(screen(status))

    @property
    def _is_status_told(self) -> bool:
        return self._settings.libp2p is not None and self._settings.is_status_told

    async def _tell_status_regularly(self) -> None:
        while True:
            await asyncio.sleep(TOLD_EVERY_S)
            self._tell_status()

    def _tell_status(self) -> None:
        """Peers of libp2p's network that ask read this from now on."""
        heard = sum(self._software.items.values()) + self._software.tips_received
        told = node_status(self._node, uptime_s=time.monotonic() - self._began, items_received=heard)
        self._node.command(NetworkStatusSet(told))

    async def _ask_for_lists(self, url: str) -> None:
        """Peers that a list names later are known later; a node that was started before its network was up has not long to wait."""
        while True:
            await asyncio.sleep(ASK_AGAIN_S if self._has_list else ASK_SOON_S)
            for address in self._dialable(list(await self._fetch(url))):
                self._learn(address)

    async def _fetch(self, url: str) -> tuple[DialAddress, ...]:
        found = await asyncio.to_thread(fetch_list, url, self._warn)
        self._has_list = self._has_list or bool(found)
        if not self._has_list:
            self._warn(f"the list is asked for again in {ASK_SOON_S:.0f} s")
        return found

    def _advise_when_lonely(self, first: tuple[DialAddress, ...]) -> None:
        """Whoever has first peers and nobody yet wants to know why; the failures alone say it of one attempt each."""
        if not self.status().peers:
            settings = self._settings
            network = settings.network if settings.network in NETWORKS else settings.chain_id.hex()
            self._warn(f"nobody is connected; attempts go on. How far one gets: mina-p2p ping --network {network} {first[0]}")

    def _learn(self, address: DialAddress) -> None:
        network = self._node.network
        if not isinstance(address, Libp2pAddress):
            self._node.command(PeerDiscovered(address, PeerSource.CONFIG, None))
        elif network is not None and len(network.links.table) < network.config.connections_min:
            self._node.command(NetworkDial(address))

    def _stop_on_signals(self) -> None:
        """The first one ends the run in order, a second one at once."""
        loop = asyncio.get_running_loop()

        def told() -> None:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
            self._told.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, told)

    def _dial_on_signals(self) -> None:
        """SIGUSR1 ends dialling by itself on libp2p's network, SIGUSR2 lets it begin again."""
        loop = asyncio.get_running_loop()
        for number, is_allowed in ((signal.SIGUSR1, False), (signal.SIGUSR2, True)):
            loop.add_signal_handler(number, self._set_dialling, is_allowed)

    def _set_dialling(self, is_allowed: bool) -> None:
        if not self._node.set_network_dialling(is_allowed=is_allowed):
            self._warn("there is nothing to dial on libp2p's network, which is off")
            return
        self._tell("dialling", {"allowed": is_allowed, "transport": "libp2p"})

    # --- what is said ----------------------------------------------------------------------

    def _say_listening(self) -> None:
        settings = self._settings
        if not settings.is_key_kept:
            self._warn("no --libp2p-keypair: this node has a new identity, which ends with it")
        fields = {"peer_id": str(self._node.peer_id), "addresses": list(map(str, self._node.addresses)), "network": settings.network}
        if self._node.config.record_to is not None:
            fields["log"] = str(self._node.config.record_to)
        self._tell("listening", fields)

    def _tell(self, event: str, fields: dict[str, Any]) -> None:
        if self._display.is_json:
            sys.stdout.write(json.dumps({"event": event, "time": round(time.time(), 3), **fields}) + "\n")
            sys.stdout.flush()
        elif not self._display.is_live or event in {"listening", "metrics", "stopped"}:
            words = ", ".join(f"{name.replace('_', ' ')} {_plain(value)}" for name, value in fields.items() if value is not None)
            self._console.print(f"{datetime.now(UTC):%H:%M:%S} {event}: {words}", markup=False)

    def _warn(self, text: str) -> None:
        sys.stderr.write(f"mina-p2p node: {text}\n")


class _Warnings(logging.Handler):
    """What the library has to say of disks and the like."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._warn = warn

    def emit(self, record: logging.LogRecord) -> None:
        """Say it as the command says things."""
        self._warn(record.getMessage())


@contextmanager
def _warnings_to(warn: Callable[[str], None]) -> Generator[None, None, None]:
    handler, logger = _Warnings(warn), logging.getLogger("mina_p2p_effects")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@contextmanager
def _binding(where: str, options: str) -> Generator[None, None, None]:
    """Say of an address that can not be bound which one it was; errors about files name these."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        raise CallerError(f"can not listen on {where}: {error.strerror or error}; choose another with {options}") from None


def _plain(value: object) -> str:
    return " ".join(map(str, cast("list[object]", value))) if isinstance(value, list) else str(value)
