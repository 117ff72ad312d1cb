"""From a fresh connection to an authenticated one that carries streams: security, Noise, muxer.

The security protocol is chosen in clear, Noise proves who the peer is, and the muxer is chosen either inside Noise's own
messages or by another negotiation behind it. pnet, where there is one, is around all of this and not seen here.

Source: spec libp2p 4 and 5.
"""

from __future__ import annotations

import enum
from typing import Final

from mina_p2p.identity import PeerId
from mina_p2p_effects.transports.libp2p.faults import Fault, LayerError
from mina_p2p_effects.transports.libp2p.multistream import NONCE_BITS, Agreed, Chooser, Proposer
from mina_p2p_effects.transports.libp2p.noise import KEY_BYTES, Handshake, NoiseTransport
from mina_p2p_effects.transports.libp2p.profile import Profile

NOISE: Final = "/noise"


class Phase(enum.Enum):
    """How far the upgrade has come."""

    SECURITY = enum.auto()
    NOISE = enum.auto()
    MUXER = enum.auto()
    OPEN = enum.auto()
    CLOSED = enum.auto()


class Foundation:
    """What an upgrade led to."""

    __slots__ = ("is_initiator", "noise", "peer_id", "plaintexts")

    def __init__(self, peer_id: PeerId, noise: NoiseTransport, plaintexts: list[bytes], *, is_initiator: bool) -> None:
        self.peer_id = peer_id
        """Proved by the peer."""
        self.noise = noise
        self.plaintexts = plaintexts
        """What has come for the muxer already."""
        self.is_initiator = is_initiator
        """Whether this side leads: mostly the one that dialled."""


class Upgrade:
    """One side; takes bytes by `receive` and leaves those for the peer in ``to_send``.

    :param expected: who must answer, where that is known.
    """

    def __init__(self, profile: Profile, *, is_dialer: bool, expected: PeerId | None) -> None:
        config = profile.config
        self._profile = profile
        self._expected = expected
        self.phase = Phase.SECURITY
        nonce = int.from_bytes(profile.random(NONCE_BITS // 8), "big") if is_dialer and config.is_simultaneous_connect_announced else None
        self._negotiation: Chooser | Proposer = Proposer((NOISE,), nonce) if is_dialer else Chooser((NOISE,))
        self._is_initiator = is_dialer
        self._handshake: Handshake | None = None
        self._noise: NoiseTransport | None = None
        self._peer_id: PeerId | None = None
        self.to_send = bytearray(taken(self._negotiation))

    @property
    def has_heard(self) -> bool:
        """Whether the peer's first words made sense, which they do not where its network key is another one."""
        return self.phase is not Phase.SECURITY or self._negotiation.has_heard

    def receive(self, data: bytes) -> Foundation | None:
        """Take bytes of the phase we are in, and those behind it of the next ones.

        :raises LayerError: where it can not go on.
        """
        if self.phase is Phase.SECURITY:
            agreed = self._negotiate(data)
            if agreed is None:
                return None
            self._begin_noise(agreed)
            data = agreed.rest
        if self._handshake is not None:
            established = self._handshake.receive(data)
            self.to_send += taken(self._handshake)
            if established is None:
                return None
            self._handshake = None
            self._noise, self._peer_id = established.transport, established.peer_id
            if established.early_muxer is not None:
                return Foundation(self._peer_id, self._noise, self._noise.decrypt(established.rest), is_initiator=self._is_initiator)
            self._begin_muxer(self._noise)
            data = established.rest
        return self._choose_muxer(data)

    def _negotiate(self, data: bytes) -> Agreed | None:
        """The outer negotiation; where not even its first token can be read, the keys differ."""
        try:
            return self._negotiation.receive(data)
        except LayerError as error:
            is_noise = not self._negotiation.has_heard and error.fault in {Fault.TOKEN_MALFORMED, Fault.NEGOTIATION_MISUSE}
            if is_noise and self._profile.network_key is not None:
                raise LayerError(Fault.WRONG_NETWORK) from None
            raise
        finally:
            self.to_send += taken(self._negotiation)

    def _begin_noise(self, agreed: Agreed) -> None:
        random, config = self._profile.random, self._profile.config
        self.phase = Phase.NOISE
        self._is_initiator = agreed.is_initiator
        self._handshake = Handshake(
            self._profile.secret_key,
            is_initiator=agreed.is_initiator,
            static=random(KEY_BYTES),
            ephemeral=random(KEY_BYTES),
            expected=self._expected,
            muxers=config.muxers if config.has_early_muxer else (),
        )
        self.to_send += taken(self._handshake)

    def _begin_muxer(self, noise: NoiseTransport) -> None:
        self.phase = Phase.MUXER
        muxers = self._profile.config.muxers
        self._negotiation = Proposer(muxers) if self._is_initiator else Chooser(muxers)
        self.to_send += noise.encrypt([taken(self._negotiation)])

    def _choose_muxer(self, data: bytes) -> Foundation | None:
        noise, peer_id = self._noise, self._peer_id
        if noise is None or peer_id is None:
            return None
        plaintexts = noise.decrypt(data)
        for position, plaintext in enumerate(plaintexts):
            agreed = self._negotiation.receive(plaintext)
            answer = taken(self._negotiation)
            if answer:
                self.to_send += noise.encrypt([answer])
            if agreed is not None:
                return Foundation(peer_id, noise, [agreed.rest, *plaintexts[position + 1 :]], is_initiator=self._is_initiator)
        return None


def taken(machine: Chooser | Proposer | Handshake) -> bytes:
    """What a machine has to send, which it has no more then."""
    out = bytes(machine.to_send)
    machine.to_send.clear()
    return out
