"""What is pinged, and as whom."""

from __future__ import annotations

import attrs

from mina_p2p.address import Libp2pAddress, QuicAddress
from mina_p2p.identity import ChainId
from mina_p2p_effects.keys import SecretKey

AGENT = "mina_p2p ping"


@attrs.frozen
class Plan:
    """One ping."""

    address: Libp2pAddress | QuicAddress
    chain_id: ChainId
    secret_key: SecretKey
    """Who we say we are."""
    timeout_s: float
    """Longest way to an open connection; and from then on, the longest wait for each answer."""
    count: int
    """Round trips to measure."""
    is_status_read: bool = False
    """Whether to read also what the node writes of itself; over libp2p."""
