"""Which peer an action is about.

An action is about a peer where it holds the peer's id, in a field or in a record in a field, or
where its ``connection_id`` is of a connection with that peer. Which connection belongs to whom
is learned from the state, in whose tables by `ConnectionId` the records have a ``peer_id``, and
from actions that name both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter
from types import UnionType
from typing import Any, Final, Union, cast, get_args, get_origin, get_type_hints

from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId
from mina_p2p.record import Record, field_names
from mina_p2p.table import Table

_STATE_DEPTH_MAX: Final = 6
_RECORDS_DEPTH_MAX: Final = 2


class Peers:
    """Knows whose connection is which, as far as a search has come."""

    def __init__(self, root: type[Any]) -> None:
        """Prepare for states of a class."""
        self._tables: list[Callable[[Any], Table[int, Any]]] = [attrgetter(path) for path in _connection_tables(root, "", 0)]
        self._paths: dict[type[Any], tuple[tuple[str, ...], ...]] = {}
        self._peers: dict[int, PeerId] = {}

    def learn_state(self, state: Any) -> None:
        """Take what a state knows of its connections."""
        for table in self._tables:
            for connection_id, connection in table(state).items():
                peer_id = connection.peer_id
                if isinstance(peer_id, PeerId):
                    self._peers[connection_id] = peer_id

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
            if ("peer_id",) in paths:
                self._peers[connection_id] = action.peer_id
            elif connection_id in self._peers:
                named.append(self._peers[connection_id])
        return named


def _peer_paths(cls: type[Any], depth: int) -> Iterator[tuple[str, ...]]:
    """Where an action of a class can hold the id of a peer, through records in it."""
    for name, hint in get_type_hints(cls).items():
        for option in get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,):
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
            held = get_origin(arguments[1]) or arguments[1]
            if arguments[0] is ConnectionId and _is_record(held) and "peer_id" in field_names(held):
                yield here
        elif _is_record(hint) and depth < _STATE_DEPTH_MAX:
            yield from _connection_tables(hint, here, depth + 1)


def _is_record(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(cast("type[Any]", hint), Record)
