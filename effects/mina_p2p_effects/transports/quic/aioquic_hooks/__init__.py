"""All that this project needs of aioquic's inside, in one place.

============  =================================================================
`contract`    every private name that is used, and what a version lacks of them
`packets`     single packets, without a connection
`receiver`    stream data that came early
`handshake`   authentication, resumption
`recovery`    pacing, acknowledgements, datagram size
`connection`  credit, limits on streams, the end: `PullQuicConnection`
`profile`     what all connections of a node have in common
============  =================================================================

Each of them overrides methods of aioquic's connection. `missing_hooks` says what a version
of aioquic lacks; ``tests/quic/test_aioquic_contract.py`` pins down what each hook does.
Nothing else in the project touches a private name of aioquic.
"""

from __future__ import annotations

from mina_p2p_effects.transports.quic.aioquic_hooks.connection import Ending, EndingKind, PullQuicConnection
from mina_p2p_effects.transports.quic.aioquic_hooks.contract import REQUIREMENT, missing_hooks
from mina_p2p_effects.transports.quic.aioquic_hooks.handshake import (
    ALERT_BAD_CERTIFICATE,
    ALERT_NO_APPLICATION_PROTOCOL,
    Judge,
    PeerRefusedError,
)
from mina_p2p_effects.transports.quic.aioquic_hooks.packets import CONNECTION_ID_BYTES, VERSIONS, first_header, refusal
from mina_p2p_effects.transports.quic.aioquic_hooks.profile import QuicProfile
from mina_p2p_effects.transports.quic.aioquic_hooks.receiver import GaplessReceiver

__all__ = [
    "ALERT_BAD_CERTIFICATE", "ALERT_NO_APPLICATION_PROTOCOL", "CONNECTION_ID_BYTES", "REQUIREMENT", "VERSIONS", "Ending", "EndingKind",
    "GaplessReceiver", "Judge", "PeerRefusedError", "PullQuicConnection", "QuicProfile", "first_header", "missing_hooks", "refusal",
]  # fmt: skip
