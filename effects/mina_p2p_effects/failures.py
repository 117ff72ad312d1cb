"""What `mina_p2p_effects.node.Node` raises for what a peer did."""

from __future__ import annotations

from mina_p2p.disconnection.reasons import Reason
from mina_p2p.errors import MinaP2pError


class PeerError(MinaP2pError):
    """What was asked of a peer did not come to be; ``reason`` says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason
