"""Runs of datagrams in one system call: the same datagrams come out, whatever the kernel can do."""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_p2p_effects.transports.quic.config import QuicConfig
from mina_p2p_effects.transports.quic.endpoint import Batch, UdpEndpoint
from mina_p2p_effects.transports.quic.offload import RUN_BYTES_MAX, SEGMENTS_MAX, Offload, runs

ADDRESSES = [("127.0.0.1", 1), ("127.0.0.1", 2)]


@given(st.lists(st.tuples(st.sampled_from([1, 1200, 1452]), st.sampled_from(ADDRESSES)), max_size=200))
def test_runs_are_the_list_cut_where_the_kernel_wants_it(shape: list[tuple[int, Any]]) -> None:
    """Nothing is lost or reordered; in a run all have one address and one size, but for a shorter last one."""
    datagrams = [(number.to_bytes(2, "big")[-size:].ljust(size, b"\0"), address) for number, (size, address) in enumerate(shape)]
    cut = list(runs(datagrams))
    assert [(data, address) for run, address in cut for data in run] == datagrams
    for run, _ in cut:
        assert {len(data) for data in run[:-1]} <= {len(run[0])}
        assert len(run[-1]) <= len(run[0])
        assert len(run) <= SEGMENTS_MAX
        assert sum(map(len, run)) <= RUN_BYTES_MAX


async def exchange(sending: QuicConfig, receiving: QuicConfig, datagrams: list[bytes], change: Any = None) -> list[bytes]:
    """Send over real sockets, and what arrived."""
    received: Batch = []
    arrived = asyncio.Event()

    def take(batch: Batch) -> None:
        received.extend(batch)
        arrived.set()

    listener = await UdpEndpoint.bind("127.0.0.1", 0, receiving, take)
    sender = await UdpEndpoint.bind("127.0.0.1", 0, sending, lambda _: None)
    if change is not None:
        change(sender)
    try:
        to = (listener.address.host, listener.address.port)
        sender.send_all([(data, to) for data in datagrams])
        async with asyncio.timeout(60):
            while len(received) < len(datagrams):
                arrived.clear()
                await arrived.wait()
        assert {address for _, address in received} == {(sender.address.host, sender.address.port)}
        return [data for data, _ in received]
    finally:
        sender.close()
        listener.close()


DATAGRAMS = [bytes([number]) * size for number, size in enumerate([1452] * 70 + [300] + [1200] * 5 + [7, 1452, 1, 1])]


@pytest.mark.parametrize("sends", [True, False])
@pytest.mark.parametrize("receives", [True, False])
def test_the_same_datagrams_arrive(sends: bool, receives: bool) -> None:
    """With and without, on either side, in order and with their own sizes."""
    configs = [QuicConfig(are_datagrams_offloaded=each) for each in (sends, receives)]
    assert asyncio.run(exchange(*configs, DATAGRAMS)) == DATAGRAMS


@pytest.mark.parametrize(("code", "for_good"), [(errno.EIO, True), (errno.EMSGSIZE, False), (errno.EAGAIN, False)])
def test_a_refused_run_goes_one_by_one(code: int, for_good: bool) -> None:
    """A device that can not do it is not asked again; another error concerns one run; nothing is lost either way."""
    refused: list[int] = []

    class Refusing:
        def __init__(self, sock: socket.socket) -> None:
            self._sock = sock

        def sendmsg(self, run: list[bytes], *_: Any) -> int:
            refused.append(len(run))
            raise OSError(code, "refused")

        def __getattr__(self, name: str) -> Any:
            return getattr(self._sock, name)

    def refuse(endpoint: UdpEndpoint) -> None:
        if endpoint._offload is None or not endpoint._offload.can_send:
            pytest.skip("this kernel has no segmentation of UDP")
        endpoint._socket = Refusing(endpoint._socket)  # type: ignore[assignment]

    assert asyncio.run(exchange(QuicConfig(), QuicConfig(), DATAGRAMS, refuse)) == DATAGRAMS
    assert len(refused) == (1 if for_good else 4)


def test_datagrams_that_are_too_long_are_cut() -> None:
    """As by a short buffer, so that nobody makes us hold long ones; they fail authentication later."""
    long = [b"x" * 4000, b"y" * 4000, b"z" * 100]
    for receives in (True, False):
        received = asyncio.run(exchange(QuicConfig(), QuicConfig(are_datagrams_offloaded=receives), long))
        assert received == [data[:2048] for data in long]


@pytest.mark.skipif(sys.platform != "linux", reason="the options are Linux'")
def test_the_options_are_found() -> None:
    """On a Linux socket both or none; on one that is no UDP socket none."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream:
        offload = Offload(stream)
        assert (offload.can_send, offload.can_receive) == (False, False)
