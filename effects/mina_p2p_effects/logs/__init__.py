"""Logs as things to ask: reading, searching, comparing, redacting, exporting and merging them.

* `open_session` and `LogSession` (`session`): one log as a list of actions, with any state; what
  everything else here, the command ``mina-p2p log`` and the debuggers stand on.
* `Query`, `find` and `search` (`search`): by kind, peer, text, time and refusal.
* `directory`, `file`, `states`, `peers`: where actions are, chunks in use, states by replay, whose connection is whose.
"""

from mina_p2p_effects.logs.search import Query, find, search
from mina_p2p_effects.logs.session import UNREADABLE, LogAction, LogSession, Refused, open_session, open_sessions

__all__ = ["UNREADABLE", "LogAction", "LogSession", "Query", "Refused", "find", "open_session", "open_sessions", "search"]
