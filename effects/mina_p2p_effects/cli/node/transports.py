"""The transports that ``mina-p2p node`` can be started with. Another one joins by a line in `CARRIERS`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mina_p2p.address import DialAddress, QuicAddress
from mina_p2p.record import Record, record
from mina_p2p_effects.cli.node.settings import Settings
from mina_p2p_effects.transports.port import Transport
from mina_p2p_effects.transports.quic import QuicTransport


@record
class Carrier(Record):
    """One kind of transport."""

    dials: type[DialAddress]
    """The addresses it can dial."""
    make: Callable[[Settings], Transport]


def _quic(settings: Settings) -> Transport:
    return QuicTransport(settings.secret_key, settings.chain_id, settings.host, settings.port, settings.quic)


CARRIERS: Final = {"quic": Carrier(QuicAddress, _quic)}
