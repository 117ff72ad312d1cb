"""Who the peer of one connection is: judged by its certificate, or known by the ticket of an earlier session."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import partial
from typing import Any

from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.identity import PeerId
from mina_p2p_effects.transports.quic.aioquic_hooks import (
    ALERT_BAD_CERTIFICATE,
    ALERT_NO_APPLICATION_PROTOCOL,
    PeerRefusedError,
    PullQuicConnection,
)
from mina_p2p_effects.transports.quic.certificate import CertificateError, verify_certificates
from mina_p2p_effects.transports.quic.tickets import Received, Tickets


class PeerProof:
    """Decides inside the handshake who the peer is, and keeps what lets it come again without certificates.

    :param alpn: the one name of the protocol that is ours.
    :param expected: whom a dialer wants to reach; ``None`` at a listener.
    :param tickets: where sessions are resumed, what they are resumed with.
    """

    def __init__(self, alpn: str, utcnow: Callable[[], dt.datetime], expected: PeerId | None, tickets: Tickets | None) -> None:
        self._alpn = alpn
        self._utcnow = utcnow
        self._expected = expected
        self._tickets = tickets
        self._judged: PeerId | None = None
        self._resumed: PeerId | None = None  # whom the ticket was given that came
        self._good: tuple[PeerId, bytes] | None = None  # with whom both hellos were good, and ours
        self._waiting: Any = None  # a ticket that came before that was known
        self.refused: Reason | None = None
        """Why the peer was refused, for people here; the peer hears of an alert."""
        self.now = 0.0
        """The loop's time; whoever drives the connection moves it."""

    def judge(self, chain: tuple[bytes, ...], alpn: str | None) -> None:
        """See `aioquic_hooks.Judge`."""
        if alpn != self._alpn:
            raise PeerRefusedError(ALERT_NO_APPLICATION_PROTOCOL, "no common protocol")
        try:
            peer_id = verify_certificates(chain, self._utcnow())
        except CertificateError as error:
            self.refused = Reason(ReasonCode.AUTHENTICATION_FAILED, detail=str(error))
            raise PeerRefusedError(ALERT_BAD_CERTIFICATE, str(error)) from None
        if self._expected is not None and peer_id != self._expected:
            self.refused = Reason(
                ReasonCode.PEER_ID_AND_PUBLIC_KEY_MISMATCH, detail=f"dialled {self._expected.libp2p}, there answers {peer_id.libp2p}"
            )
            raise PeerRefusedError(ALERT_BAD_CERTIFICATE, "another peer was dialled")
        self._judged = peer_id

    def peer_id(self, quic: PullQuicConnection) -> PeerId | None:
        """Whose connection it is, once the handshake is over; ``None`` where nothing proves it."""
        if not quic.is_resumed():
            return self._judged if quic.is_judged else None
        if quic.negotiated_alpn() != self._alpn:
            return None
        return self._resumed if self._expected is None else self._expected

    # --- tickets

    def attach(self, quic: PullQuicConnection) -> None:
        """Let ``quic`` resume sessions, where that is on."""
        if self._tickets is not None:
            quic.take_tickets(self._redeem, partial(self._take_ticket, quic))

    def take_received(self) -> Received | None:
        """The ticket to dial with, if there is one; it is used up by this."""
        return self._tickets.take(self._expected, self.now) if self._tickets is not None and self._expected is not None else None

    def approve(self, peer_id: PeerId, hello: bytes) -> None:
        """Both hellos were good: from now on a dialer keeps tickets that come, with the hello that it may send early next time."""
        self._good = peer_id, hello
        if self._waiting is not None:
            self._keep(self._waiting)

    def _redeem(self, name: bytes) -> Any:
        """What a ticket's name stands for; the ticket is used up by this."""
        given = self._tickets.redeem(name, self.now) if self._tickets is not None else None
        if given is None:
            return None
        self._resumed = given.peer_id
        return given.session

    def _take_ticket(self, quic: PullQuicConnection, session: Any) -> None:
        """A ticket goes out with a listener's handshake, or came to a dialer."""
        if self._expected is not None:
            self._keep(session)
            return
        peer_id = self.peer_id(quic)
        if self._tickets is not None and peer_id is not None:
            self._tickets.give(session, peer_id, self.now)

    def _keep(self, session: Any) -> None:
        self._waiting = session
        if self._tickets is not None and self._good is not None:
            self._tickets.keep(session, *self._good, self.now)
            self._waiting = None
