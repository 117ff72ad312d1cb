"""Which peer an action is about.

An action is about a peer where it holds the peer's id, in a field or in a record in a field, or
where its ``connection_id`` is of a connection with that peer. Which connection belongs to whom
is learned from the state, in whose tables by `ConnectionId` the records have a ``peer_id``, and
from actions that name both. A node that is in the libp2p network as well numbers those connections
for themselves: they are told apart by the names of actions and by their place in the state.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Any, Final, Union, cast, get_args, get_origin, get_type_hints

from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId
from mina_p2p.record import Record, field_names
from mina_p2p.table import Table

_STATE_DEPTH_MAX: Final = 6
_RECORDS_DEPTH_MAX: Final = 2

_NETWORK: Final = ("Libp2p", "Network")
"""How the names of the actions of the libp2p network begin ..."""
_NETWORK_PATH: Final = "network."
"""... and the paths of its states."""


class Peers:
    """Knows whose connection is which, as far as a search has come."""

    def __init__(self, root: type[Any]) -> None:
        """Prepare for states of a class."""
        self._tables = [(path.startswith(_NETWORK_PATH), path.split(".")) for path in _connection_tables(root, "", 0)]
        self._paths: dict[type[Any], tuple[tuple[str, ...], ...]] = {}
        self._peers: dict[tuple[bool, int], PeerId] = {}
        """By whether it is a connection of libp2p, and its number."""

    def learn_state(self, state: Any) -> None:
        """Take what a state knows of its connections."""
        for is_network, path in self._tables:
            table: Any = state
            for name in path:
                table = getattr(table, name, None)  # a part may be off
            if isinstance(table, Table):
                for connection_id, connection in cast("Table[int, Any]", table).items():
                    peer_id = getattr(connection, "peer_id", None)
                    if isinstance(peer_id, PeerId):
                        self._peers[is_network, connection_id] = peer_id

    def of(self, action: Any) -> list[PeerId]:
        """The peers that an action is about; learns from it."""
        kind: type[Any] = action.__class__
        paths = self._paths.get(kind)
        if paths is None:
            paths = self._paths[kind] = tuple(_peer_paths(kind, 0))
        named: list[PeerId] = []
        for path in paths:
            value = action
            for name in path:
                value = getattr(value, name, None)
            if isinstance(value, PeerId):
                named.append(value)
        connection_id = getattr(action, "connection_id", None)
        if isinstance(connection_id, int):
            key = kind.__qualname__.startswith(_NETWORK), connection_id
            if ("peer_id",) in paths:
                self._peers[key] = action.peer_id
            elif key in self._peers:
                named.append(self._peers[key])
        return named


def _peer_paths(cls: type[Any], depth: int) -> Iterator[tuple[str, ...]]:
    """Where an action of a class can hold the id of a peer, through records in it."""
    for name, hint in get_type_hints(cls).items():
        for option in _options(hint):
            if option is PeerId:
                yield (name,)
            elif _is_record(option) and depth < _RECORDS_DEPTH_MAX:
                for rest in _peer_paths(option, depth + 1):
                    yield (name, *rest)


def _connection_tables(cls: type[Any], path: str, depth: int) -> Iterator[str]:
    """Paths of the tables by `ConnectionId` whose records have a ``peer_id``."""
    for name, hint in get_type_hints(cls).items():
        here = f"{path}.{name}" if path else name
        arguments = get_args(hint)
        if get_origin(hint) is Table:
            held = [get_origin(option) or option for option in _options(arguments[1])]
            if arguments[0] is ConnectionId and any(_is_record(option) and "peer_id" in field_names(option) for option in held):
                yield here
        elif depth < _STATE_DEPTH_MAX:
            for option in filter(_is_record, _options(hint)):
                yield from _connection_tables(option, here, depth + 1)


def _options(hint: Any) -> tuple[Any, ...]:
    """The members of a union; a hint that is none, alone."""
    return get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)


def _is_record(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(cast("type[Any]", hint), Record)
