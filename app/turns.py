"""Who gets one of a few connections next: of all who wait, each in turn; and nobody may have all of them."""

import asyncio
from collections import Counter, deque
from collections.abc import Hashable

RESERVED = 2


class Turns:
    """A holder may hold all but a part that is kept for others, and waits for its own to come back.

    The calls of one holder are served in order. None is ourselves, and may hold all.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._share = limit - min(RESERVED, limit // 4)
        self._free = limit
        self._held: Counter[Hashable] = Counter()
        # In the order of their turns; a line is there as long as somebody waits in it.
        self._lines: dict[Hashable, deque[asyncio.Future[None]]] = {}

    async def take(self, holder: Hashable) -> None:
        """Wait for a turn, which is to be given back."""
        if self._free and self._may_hold(holder) and holder not in self._lines:
            self._free -= 1
            self._held[holder] += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines.setdefault(holder, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it came in that moment
                self.give_back(holder)
            raise

    def give_back(self, holder: Hashable) -> None:
        self._free += 1
        self._held[holder] -= 1
        if not self._held[holder]:
            del self._held[holder]
        while self._free and self._hand_out():
            pass

    def _may_hold(self, holder: Hashable) -> bool:
        return self._held[holder] < (self._limit if holder is None else self._share)

    def _hand_out(self) -> bool:
        """One to the first in turn. Whoever does not wait any more is passed over."""
        holder = next(filter(self._may_hold, self._lines), self)
        if holder is self:
            return False
        line = self._lines.pop(holder)
        while line:
            turn = line.popleft()
            if not turn.done():
                self._free -= 1
                self._held[holder] += 1
                turn.set_result(None)
                break
        if line:
            self._lines[holder] = line  # behind all others
        return True
