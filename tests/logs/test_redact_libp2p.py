"""A redacted log of a libp2p node holds nobody's address, though frames have them in a form of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("Crypto", reason="pycryptodome is not installed; it comes with the extra `libp2p`")

from node.nodes import run
from support.network import network_node

from mina_p2p.address import Domain, Host, Ipv4, parse_host
from mina_p2p.libp2p.multiaddr import encode_multiaddr
from mina_p2p_effects.logs import LogSession, open_session
from mina_p2p_effects.logs.pseudonyms import Pseudonyms
from mina_p2p_effects.logs.redact import redact
from mina_p2p_effects.replay import replay_path

HOSTS = [parse_host(text) for text in ("34.12.55.71", "[2a01:4f8:c0c:71::7]", "seed-seven.example.org")]


@pytest.mark.parametrize("host", HOSTS, ids=str)
def test_a_binary_multiaddress_becomes_another(host: Host) -> None:
    """Of the same form and length, with the port as it was; what nobody asked for stays."""
    names = Pseudonyms(b"k" * 32)
    frame = b"\x12\x08" + encode_multiaddr(host, 8302) + b"\x1a\x00"
    other = names.host(host)
    assert other != host
    assert names.data(frame) == b"\x12\x08" + encode_multiaddr(other, 8302) + b"\x1a\x00"
    stranger = encode_multiaddr(Ipv4.of(34, 99, 1, 2), 8302)
    assert names.data(stranger) == stranger


def secrets_of(host: Host) -> bytes:
    return host.name.encode() if isinstance(host, Domain) else host.packed


@pytest.mark.parametrize("host", HOSTS, ids=str)
def test_a_redacted_log_of_a_libp2p_node_replays_and_names_nobody(host: Host, tmp_path: Path) -> None:
    """What a node that is reached at a public address said of itself in identify, and where it stands in the states since."""

    async def main() -> None:
        async with (
            network_node(1, settings={"external_hosts": (host,), "record_to": tmp_path / "seed.log"}) as seed,
            network_node(
                2, seed.node.addresses[0].replace(host=Ipv4.of(127, 0, 0, 1)), settings={"record_to": tmp_path / "one.log"}
            ) as one,
        ):
            await one.until(lambda: len(one.network.kademlia.table) == 1)

    def content(session: LogSession) -> bytes:
        actions = [session.content(position) for position in range(session.count)]
        return b"".join(map(session.schema.encode, [*actions, session.state_at(session.count - 1)]))

    run(main())
    for name in ("seed.log", "one.log"):
        target = tmp_path / f"redacted-{name}"
        with open_session(tmp_path / name) as session:
            assert secrets_of(host) in content(session)
            result = redact(session, target)
            assert (result.missed, result.changed) == (0, 0)
            assert result.addresses
            assert result.actions == session.count
        with open_session(target) as redacted:
            assert secrets_of(host) not in content(redacted)
        (log,) = replay_path(target)
        assert log.is_verified
