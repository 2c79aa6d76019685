"""Who gets a connection next: no sleeping, the order says it all."""

import asyncio
from collections.abc import Coroutine, Hashable
from typing import Any

import pytest
from wfg.turns import Turns


class Calls:
    """Calls that end when they are told to. begun: holders, in the order of their turns."""

    def __init__(self, limit: int) -> None:
        self.turns = Turns(limit)
        self.begun: list[Hashable] = []
        self._under_way: list[tuple[Hashable, asyncio.Event, asyncio.Task[None]]] = []

    async def begin(self, holder: Hashable, count: int = 1) -> list["asyncio.Task[None]"]:
        tasks = []
        for _ in range(count):
            ended = asyncio.Event()
            tasks.append(asyncio.create_task(self._call(holder, ended)))
            self._under_way.append((holder, ended, tasks[-1]))
        await settle()
        return tasks

    async def end(self, holder: Hashable) -> None:
        """The oldest of that holder that has begun."""
        at = next(n for n, each in enumerate(self._under_way) if each[0] == holder)
        _, ended, task = self._under_way.pop(at)
        ended.set()
        await task
        await settle()

    async def _call(self, holder: Hashable, ended: asyncio.Event) -> None:
        await self.turns.take(holder)
        self.begun.append(holder)
        try:
            await ended.wait()
        finally:
            self.turns.give_back(holder)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def run(body: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(body, 10))


@pytest.mark.parametrize(
    ("limit", "share"), [(1, 1), (2, 2), (3, 3), (4, 3), (7, 6), (8, 6), (10, 8), (100, 98)]
)
def test_one_holder_leaves_a_part_to_others_who_need_not_wait(limit: int, share: int):
    async def body() -> None:
        calls = Calls(limit)
        await calls.begin("flood", 1000)
        assert calls.begun == ["flood"] * share
        await calls.begin("victim", limit)
        assert calls.begun == ["flood"] * share + ["victim"] * (limit - share)

    run(body())


def test_ourselves_may_have_all():
    async def body() -> None:
        calls = Calls(10)
        await calls.begin(None, 11)
        assert len(calls.begun) == 10

    run(body())


def test_all_who_wait_have_their_turns_however_many_calls_they_make():
    async def body() -> None:
        calls = Calls(1)
        await calls.begin("a", 50)
        await calls.begin("b", 2)
        await calls.begin("c", 1)
        for holder in ("a", "a", "b", "c", "a", "b"):
            await calls.end(holder)
        assert calls.begun == ["a", "a", "b", "c", "a", "b", "a"]

    run(body())


def test_calls_of_one_holder_are_served_in_order():
    async def body() -> None:
        turns, order = Turns(1), list[int]()

        async def call(number: int) -> None:
            await turns.take("a")
            order.append(number)
            await asyncio.sleep(0)
            turns.give_back("a")

        await asyncio.gather(*map(call, range(20)))
        assert order == list(range(20))

    run(body())


def test_who_gives_up_is_passed_over_and_no_turn_is_lost():
    async def body() -> None:
        calls = Calls(2)
        await calls.begin("a", 2)
        given_up = await calls.begin("b", 3)
        await calls.begin("c")
        for task in given_up[:2]:
            task.cancel()
        await settle()
        await calls.end("a")
        assert calls.begun == ["a", "a", "b"]
        await calls.end("a")
        assert calls.begun == ["a", "a", "b", "c"]

    run(body())


def test_a_turn_that_comes_while_one_gives_up_goes_on():
    async def body() -> None:
        turns = Turns(1)
        await turns.take("a")
        leaving = asyncio.create_task(turns.take("b"))
        staying = asyncio.create_task(turns.take("c"))
        await settle()
        turns.give_back("a")  # it is b's now, who has not heard of it
        leaving.cancel()
        await asyncio.wait([leaving])
        await staying
        turns.give_back("c")
        await turns.take("d")

    run(body())
