"""An exhaustive explorer: every state that a model can reach, breadth first: its counterexamples are short.

A model is anything with `initial`, `steps(state)`, `flaw(state)` and `is_over(state)`; states are hashable.
Safety is asked of every state. Liveness is asked of the whole graph: from every state some fair steps must
lead to where all is over. A set of states that is never left and never over would hold one where that is
false.
"""

import gc
from array import array
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol


class Step:
    """One step that can be taken: what it is called, where it leads, and whether the fair go on with it."""

    __slots__ = ("fair", "label", "to")

    def __init__(self, label: Any, to: Hashable, fair: bool = True) -> None:
        self.label = label
        self.to = to
        self.fair = fair


class Explorable(Protocol):
    @property
    def initial(self) -> Any: ...

    def steps(self, state: Any) -> Iterable[Step]:
        """All steps that can be taken here."""
        ...

    def flaw(self, state: Any) -> str | None:
        """The first invariant that this state breaks."""
        ...

    def is_over(self, state: Any) -> bool:
        """Whether everything that was begun has come to its end."""
        ...


NEVER_OVER = "every run ends"


@dataclass
class Explored:
    """What was found: how much there is, and the shortest way to the first flaw."""

    states: list[Any]
    came_from: array
    labels: list[Any]
    transitions: int
    depth: int
    flaw: str | None = None
    flawed: int | None = None

    def path(self, index: int) -> list[Any]:
        """The labels of a shortest way to a state."""
        labels = []
        while index:
            labels.append(self.labels[index])
            index = self.came_from[index]
        return labels[::-1]

    @property
    def trace(self) -> list[Any]:
        assert self.flawed is not None, "no flaw was found"
        return self.path(self.flawed)

    def __str__(self) -> str:
        size = f"{len(self.states)} states, {self.transitions} transitions, depth {self.depth}"
        if self.flaw is None:
            return f"{size}: no flaw"
        steps = "\n".join(f"  {number}. {label}" for number, label in enumerate(self.trace, 1))
        state = self.states[self.flawed]
        return f"{size}: broken after {len(self.trace)} steps: {self.flaw}\n{steps}\n  {state}"


def explore(model: Explorable, most: int = 2_000_000) -> Explored:
    """All states, or all up to the first flaw. More than so many states is an error, never a silent end."""
    # Nothing here is ever garbage: looking for it takes a third of the time.
    gc.disable()
    try:
        return explore_all(model, most)
    finally:
        gc.enable()


def explore_all(model: Explorable, most: int) -> Explored:
    known = {model.initial: 0}
    found = Explored([model.initial], array("l", [0]), [None], 0, 0)
    depths = array("l", [0])
    fair_from, fair_to = array("l"), array("l")

    index = 0
    while index < len(found.states):
        state = found.states[index]
        found.flaw = model.flaw(state)
        if found.flaw:
            found.flawed = index
            return found

        for step in model.steps(state):
            found.transitions += 1
            to = known.setdefault(step.to, len(known))
            if to == len(found.states):
                assert to < most, f"more than {most} states"
                found.states.append(step.to)
                found.came_from.append(index)
                found.labels.append(step.label)
                depths.append(depths[index] + 1)
                found.depth = depths[to]
            if step.fair:
                fair_from.append(index)
                fair_to.append(to)
        index += 1

    stuck = first_stuck(model, found.states, fair_from, fair_to)
    if stuck is not None:
        found.flaw, found.flawed = NEVER_OVER, stuck
    return found


def first_stuck(model: Explorable, states: list[Any], fair_from: array, fair_to: array) -> int | None:
    """The first state from which no fair steps lead to where all is over: walked backwards from there."""
    before: list[list[int]] = [[] for _ in states]
    for source, target in zip(fair_from, fair_to, strict=True):
        before[target].append(source)

    left = [index for index, state in enumerate(states) if model.is_over(state)]
    ends = bytearray(len(states))
    for index in left:
        ends[index] = 1
    while left:
        for source in before[left.pop()]:
            if not ends[source]:
                ends[source] = 1
                left.append(source)

    stuck = ends.find(0)
    return None if stuck < 0 else stuck
