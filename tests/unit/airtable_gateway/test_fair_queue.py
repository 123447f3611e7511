"""Who is next: interactive before bulk, callers in turn, and nobody starved."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from pyairtable_platform.airtable_gateway.fair_queue import BULK_EVERY, FairQueue


@dataclass(eq=False)
class Item:
    caller: str
    bulk: bool = False
    number: int = 0


def drain(queue: FairQueue[Item]) -> list[Item]:
    served = []
    while (item := queue.first()) is not None:
        queue.serve(item)
        served.append(item)
    return served


def filled(*items: Item) -> FairQueue[Item]:
    queue: FairQueue[Item] = FairQueue()
    for item in items:
        queue.push(item)
    return queue


def test_a_caller_with_one_call_does_not_wait_for_one_with_many() -> None:
    queue = filled(*(Item("greedy", number=n) for n in range(50)), Item("modest"))
    assert [item.caller for item in drain(queue)][:2] == ["greedy", "modest"]


def test_interactive_calls_go_before_bulk_which_still_gets_every_fifth_place() -> None:
    queue = filled(*(Item("a", bulk=True) for _ in range(3)), *(Item("b") for _ in range(20)))
    kinds = [item.bulk for item in drain(queue)]
    assert kinds[: BULK_EVERY * 2] == [False] * (BULK_EVERY - 1) + [True] + [False] * (BULK_EVERY - 1) + [True]
    assert sum(kinds) == 3


def test_one_callers_calls_keep_their_order() -> None:
    queue = filled(*(Item("a", number=n) for n in range(9)))
    assert [item.number for item in drain(queue)] == list(range(9))


items = st.lists(st.builds(Item, caller=st.sampled_from("abc"), bulk=st.booleans()), max_size=30)


@given(items, items, st.sampled_from("abcd"), st.booleans())
def test_a_new_call_never_comes_before_the_place_it_was_told(
    earlier: list[Item], waiting: list[Item], caller: str, bulk: bool
) -> None:
    """Refusals of hopeless calls rest on this: the told place is the best it can get."""
    queue = filled(*earlier)
    for _ in range(len(earlier) // 2):
        queue.serve(queue.first() or earlier[0])
    for item in waiting:
        queue.push(item)
    told = queue.ahead_of_new(caller, bulk=bulk)
    new = Item(caller, bulk)
    queue.push(new)
    assert drain(queue).index(new) >= told


@given(items)
def test_everyone_is_served_once(waiting: list[Item]) -> None:
    served = drain(filled(*waiting))
    assert {id(item) for item in served} == {id(item) for item in waiting}
    assert len(served) == len(waiting)


def test_who_gives_up_is_not_served() -> None:
    staying, leaving = Item("a"), Item("a")
    queue = filled(leaving, staying)
    queue.give_up(leaving)
    assert drain(queue) == [staying]
