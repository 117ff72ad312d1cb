"""Searching a log: `find` the next action that a `Query` describes, `search` for all of them.

A query for kinds alone reads the log's index and passes over chunks that have none of them. A
query for a peer or a text looks into the actions themselves, which are made by replaying; where
the state is unknown because of damage, only inputs are looked into.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

from mina_p2p.errors import CallerError
from mina_p2p.record import Record, record
from mina_p2p_effects.logs.file import Block
from mina_p2p_effects.logs.peers import Peers
from mina_p2p_effects.logs.session import LogAction, LogSession


@record
class Query(Record):
    """What to look for; everything that is given has to fit."""

    kind: str = ""
    """Name of a kind, with ``*`` and ``?`` where wanted, several separated by commas: ``Connection*,PeerBan``."""
    peer: str = ""
    """Beginning of a peer id's text, or ``#7`` for a connection by its number."""
    text: str = ""
    """Regular expression, found anywhere in the action as it is printed."""
    is_input: bool | None = None
    """Inputs only, or only what followed from them."""
    is_refused: bool = False
    """Only inputs in whose dispatch a guard refused something."""
    since: int | None = None
    until: int | None = None
    """Times in nanoseconds: from, and before."""

    @property
    def needs_content(self) -> bool:
        """Whether derived actions have to be replayed for an answer."""
        return bool(self.peer or self.text)


Progress: TypeAlias = Callable[[float], object]
"""Told now and then which share of what is to be searched is done, from 0 to 1."""


def search(
    session: LogSession,
    query: Query,
    start: int = 0,
    *,
    backward: bool = False,
    stop: Callable[[], bool] | None = None,
    progress: Progress | None = None,
) -> Iterator[LogAction]:
    """The actions that a query describes, from ``start`` on, or from there back.

    :param stop: asked now and then; a search that it tells to stop ends.
    :raises CallerError: where ``query.text`` is no regular expression.
    """
    matcher = _Matcher(session, query)
    for number, block in _blocks(session, start, backward=backward):
        if stop is not None and stop():
            return
        if progress is not None:
            base = session.base_of(number, block)
            progress(max(0, start - base) / max(1, start) if backward else max(0, base - start) / max(1, session.count - start))
        if not matcher.may_have(number, block):
            continue
        found = session.files[number].block(block)
        if found is None:
            continue
        base = session.base_of(number, block)
        places: Iterable[int] = matcher.places(number, block, found)
        if backward:
            places = reversed([place for place in places if base + place <= start])
        for place in places:
            if base + place >= start or backward:
                yield session.action(base + place)


def find(
    session: LogSession,
    query: Query,
    start: int = 0,
    *,
    backward: bool = False,
    stop: Callable[[], bool] | None = None,
    progress: Progress | None = None,
) -> int | None:
    """Position of the first action that `search` finds."""
    return next((row.position for row in search(session, query, start, backward=backward, stop=stop, progress=progress)), None)


def _blocks(session: LogSession, start: int, *, backward: bool) -> Iterator[tuple[int, int]]:
    everything = [(number, len(file.directory)) for number, file in enumerate(session.files)]
    for number, count in reversed(everything) if backward else everything:
        directory = session.files[number].directory
        for block in range(count - 1, -1, -1) if backward else range(count):
            first = session.base_of(number, block)
            if first <= start if backward else first + directory.size(block) > start:
                yield number, block


class _Matcher:
    """A query, prepared."""

    def __init__(self, session: LogSession, query: Query) -> None:
        self._session = session
        self._query = query
        patterns = [part.strip() for part in query.kind.split(",") if part.strip()]
        names = {tag: session.schema.name_of(tag) for tag in session.schema.inputs}
        self._tags = frozenset(tag for tag, name in names.items() if not patterns or any(fnmatchcase(name, p) for p in patterns))
        self._has_kinds = bool(patterns)
        try:
            self._text = re.compile(query.text) if query.text else None
        except re.error as error:
            raise CallerError(f"{query.text!r} is no regular expression: {error}") from error
        self._peers = Peers(session.machine.root) if query.peer else None

    def may_have(self, number: int, block: int) -> bool:
        """Whether a block can hold a match, by what is known without reading it."""
        directory = self._session.files[number].directory
        query = self._query
        if query.until is not None and directory.times[block] >= query.until:
            return False
        if query.since is not None and block + 1 < len(directory) and directory.times[block + 1] < query.since:
            return False
        tags = directory.tags[block]
        return not (self._has_kinds and tags) or any(tags[tag >> 3] >> (tag & 7) & 1 for tag in self._tags if tag >> 3 < len(tags))

    def places(self, number: int, block: int, found: Block) -> Iterator[int]:
        """The places in a block that match, in order."""
        records, query = found.records, self._query
        contents: tuple[Any, ...] = ()
        if query.needs_content:
            replayed = self._session.contents(number, block)
            contents = replayed.actions
            if self._peers is not None and replayed.before is not None:
                # Connections have a number for good, so those that begin in the block are known from behind it.
                self._peers.learn_state(replayed.before)
                self._peers.learn_state(replayed.after)
        if self._text is not None and query == Query(text=query.text, kind=query.kind) and len(contents) == len(records.kinds):
            # The common case, and the one that takes longest.
            has_text, tags, kinds = self._text.search, self._tags, records.kinds
            for place, action in enumerate(contents):
                if kinds[place] in tags and has_text(repr(action)):
                    yield place
            return
        for i, count in enumerate(records.counts):
            at = records.times[i]
            is_inside = (query.since is None or at >= query.since) and (query.until is None or at < query.until)
            if query.is_refused and i not in records.refusals:
                is_inside = False
            for place in range(found.starts[i], found.starts[i] + count):
                depth = records.depths[place]
                content = contents[place] if place < len(contents) else records.inputs[i] if depth == 0 else None
                is_about = self._peers is None or content is None or self._is_about(content)
                if not is_inside or not is_about or records.kinds[place] not in self._tags:
                    continue
                if query.is_input not in {None, depth == 0} or (query.is_refused and depth):
                    continue
                if query.needs_content and content is None:
                    continue
                if self._text is not None and not self._text.search(repr(content)):
                    continue
                yield place

    def _is_about(self, action: Any) -> bool:
        assert self._peers is not None  # noqa: S101 - the caller looked
        wanted = self._query.peer
        peers = list(self._peers.of(action))
        if wanted.startswith("#"):
            return str(getattr(action, "connection_id", "")) == wanted[1:]
        return any(str(peer).startswith(wanted) for peer in peers)
