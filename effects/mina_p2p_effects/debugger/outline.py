"""`Outline`: the actions of a log as a tree by cause, of which any part can be folded.

Follow-ups stand right behind their cause, so the order of the log is the tree, read from the
top. What comes next or before is found by looking at one dispatch; nothing is numbered,
counted or kept per action, so a log of a million actions folds as fast as one of ten.
"""

from __future__ import annotations

from mina_p2p_effects.logs import LogSession


class Outline:
    """Which actions are to be seen, and how to get from one to the next."""

    def __init__(self, session: LogSession) -> None:
        """Everything is unfolded."""
        self._session = session
        self._are_inputs_folded = False
        self._others: set[int] = set()
        """Positions that are folded where others of their kind are not, or the other way round."""

    @property
    def are_inputs_folded(self) -> bool:
        """Whether inputs show what followed from them only where one asks for it."""
        return self._are_inputs_folded

    def fold_inputs(self, folded: bool) -> None:
        """Fold or unfold everything."""
        self._are_inputs_folded = folded
        self._others.clear()

    def is_folded(self, position: int) -> bool:
        """Whether what follows from an action is hidden."""
        is_usual = self._are_inputs_folded and self._session.action(position).is_input
        return is_usual != (position in self._others)

    def set_folded(self, position: int, folded: bool) -> None:
        """Hide or show what follows from an action."""
        if self.is_folded(position) != folded:
            self._others ^= {position}

    def has_children(self, position: int) -> bool:
        """Whether anything follows from an action."""
        row = self._session.action(position)
        return position + 1 < row.root + row.size and self._session.action(position + 1).depth > row.depth

    def end(self, position: int) -> int:
        """Position behind the last action that follows from this one, directly or not."""
        row = self._session.action(position)
        last = row.root + row.size
        if row.is_input:
            return last
        end = position + 1
        while end < last and self._session.action(end).depth > row.depth:
            end += 1
        return end

    def shown(self, position: int) -> int:
        """The action itself, or the outermost folded one that hides it."""
        found = position
        cause = self._session.cause(position)
        while cause is not None:
            if self.is_folded(cause):
                found = cause
            cause = self._session.cause(cause)
        return found

    def reveal(self, position: int) -> None:
        """Unfold whatever hides an action."""
        cause = self._session.cause(position)
        while cause is not None:
            self.set_folded(cause, folded=False)
            cause = self._session.cause(cause)

    def after(self, position: int) -> int | None:
        """The next action that is shown; ``None`` at the end."""
        following = self.end(position) if self.is_folded(position) else position + 1
        return following if following < self._session.count else None

    def before(self, position: int) -> int | None:
        """The shown action before this one; ``None`` at the beginning."""
        return self.shown(position - 1) if position > 0 else None

    def lines(self, position: int, count: int) -> list[int]:
        """Up to ``count`` shown actions from one on."""
        found = [position]
        while len(found) < count and (following := self.after(found[-1])) is not None:
            found.append(following)
        return found

    def moved(self, position: int, count: int) -> int:
        """``count`` shown actions further, or back where it is negative; as far as there are any."""
        step = self.after if count > 0 else self.before
        for _ in range(abs(count)):
            found = step(position)
            if found is None:
                break
            position = found
        return position
