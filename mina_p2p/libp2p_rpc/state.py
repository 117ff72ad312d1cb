"""Sessions and calls."""

from __future__ import annotations

from typing import Final, TypeAlias

from mina_p2p.errors import InvariantViolationError
from mina_p2p.ids import SECOND, ConnectionId, PeerNumber, RequestId, StreamId, Timestamp
from mina_p2p.mina.rpc import RpcMethod, rpc_method
from mina_p2p.record import Record, record
from mina_p2p.table import Deadlines, Table, empty_table


@record
class RpcKind(Record):
    """One method, as this node speaks it."""

    tag: str
    version: int
    timeout: int
    """Nanoseconds that an answer may take (reference: Rust's, where it has one)."""
    per_minute: int
    """Questions of one peer that are taken in a minute: a few times what OCaml takes, so that nobody is cut off who keeps to that."""


KINDS: Final = {
    kind.tag: kind
    for kind in (
        RpcKind("get_some_initial_peers", 1, 10 * SECOND, 10),
        RpcKind("get_staged_ledger_aux_and_pending_coinbases_at_hash", 2, 180 * SECOND, 16),
        RpcKind("answer_sync_ledger_query", 3, 10 * SECOND, 1 << 17),
        RpcKind("get_best_tip", 2, 15 * SECOND, 12),
        RpcKind("get_ancestry", 2, 15 * SECOND, 20),
        RpcKind("Get_transition_knowledge", 1, 15 * SECOND, 10),
        RpcKind("get_transition_chain", 2, 30 * SECOND, 240),
        RpcKind("get_transition_chain_proof", 1, 15 * SECOND, 12),
        RpcKind("ban_notify", 1, 10 * SECOND, 10),
    )
}
"""Every method of a menu, in its order."""


def method_of(tag: str) -> RpcMethod:
    """The codecs of a method of `KINDS`: what its query and its answer mean, and their bytes."""
    found = rpc_method(tag, KINDS[tag].version)
    if found is None:
        raise InvariantViolationError(f"{tag} has no codecs")
    return found


SERVING_MAX: Final = 16
"""Questions of one session that may wait for our answer."""
QUERY_BYTES_MAX: Final = 64 * 1024
CALLS_MAX: Final = 256
SESSIONS_PER_PEER_MAX: Final = 8
"""Sessions of ours with one peer."""
GREETING_WAIT: Final = 30 * SECOND
HEARTBEAT: Final = 10 * SECOND
PEER_SILENCE: Final = 30 * SECOND
"""After which a session that the peer opened is over: OCaml opens one for each question and says no more on it."""
OWN_SILENCE: Final = 120 * SECOND
SERVE_WAIT: Final = 180 * SECOND
"""Longest that the node software may think about a question."""
MENU_MAX: Final = 256


@record
class Greeting(Record):
    """The peer has not greeted yet."""


@record
class Idle(Record):
    """We have asked nothing."""


@record
class AskingMenu(Record):
    """We have asked for the menu."""

    query_id: int


@record
class Asking(Record):
    """We have asked what the call wants to know."""

    query_id: int


SessionStatus: TypeAlias = Greeting | Idle | AskingMenu | Asking


@record
class Serving(Record):
    """A question of the peer's that is not answered yet."""

    query_id: int
    tag: str
    until: Timestamp


@record
class Session(Record):
    """One stream."""

    peer: PeerNumber
    connection_id: ConnectionId
    stream: StreamId
    is_ours: bool
    status: SessionStatus
    heard_at: Timestamp
    wait_at: Timestamp
    """When it is looked at next."""
    call: int = 0
    """What it is asking, or will when it can; 0 for nothing."""
    serving: tuple[Serving, ...] = ()
    is_ended: bool = False
    """Whether the peer says no more on it."""


@record
class Call(Record):
    """A question of ours."""

    request_id: RequestId
    peer: PeerNumber
    tag: str
    query: bytes
    deadline: Timestamp
    is_waiting: bool = False
    """For a session that has nothing to do, because there are as many as there may be."""


@record
class Spent(Record):
    """What a peer has asked in this minute."""

    since: Timestamp
    counts: tuple[tuple[str, int], ...] = ()


@record
class Rpcs(Record):
    """The slice."""

    deadlines: Deadlines
    """Of sessions (twice their serial) and calls (twice their number and one)."""
    sessions: Table[int, Session] = empty_table()
    """By the serial of their stream."""
    calls: Table[int, Call] = empty_table()
    menus: Table[PeerNumber, tuple[tuple[str, int], ...]] = empty_table()
    spent: Table[PeerNumber, Spent] = empty_table()
    next_id: int = 1
    """Of calls and queries."""

    def session_key(self, serial: int) -> int:
        """In `deadlines`."""
        return 2 * serial

    def call_key(self, call: int) -> int:
        """In `deadlines`."""
        return 2 * call + 1

    def opened_to(self, peer: PeerNumber) -> list[tuple[int, Session]]:
        """Sessions of ours with a peer."""
        return [(serial, session) for serial, session in self.sessions.items() if session.is_ours and session.peer == peer]
