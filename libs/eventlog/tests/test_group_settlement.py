"""How members on PostgreSQL come to their shares: each acts alone on what it sees, and all parts find an owner."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from eventlog.postgres_group import settle


class Group:
    """Members that act in turn; a lock changes hands only when it was given up."""

    def __init__(self, partitions: int, members: set[int]) -> None:
        self.partitions = partitions
        self.members = members
        self.owners: dict[int, int] = {}

    def act(self, me: int) -> None:
        held = {number for number, owner in self.owners.items() if owner == me}
        change = settle(self.partitions, self.members, me, self.owners, held)
        for number in change.give_up:
            del self.owners[number]
        for number in change.take:
            self.owners.setdefault(number, me)

    def sizes(self) -> list[int]:
        return sorted(sum(owner == me for owner in self.owners.values()) for me in self.members)

    def settled(self) -> bool:
        sizes = self.sizes()
        return len(self.owners) == self.partitions and sizes[-1] - sizes[0] <= 1


@given(
    partitions=st.integers(1, 24),
    first=st.sets(st.integers(1, 99), min_size=1, max_size=6),
    second=st.sets(st.integers(1, 99), min_size=1, max_size=6),
    order=st.randoms(use_true_random=False),
)
def test_members_settle_in_a_few_turns_and_again_after_a_change(
    partitions: int, first: set[int], second: set[int], order: Random
) -> None:
    group = Group(partitions, first)
    _take_turns(group, order)
    assert group.settled()
    group.members = second
    group.owners = {number: owner for number, owner in group.owners.items() if owner in second}
    _take_turns(group, order)
    assert group.settled()


def test_a_settled_group_stays_as_it_is() -> None:
    group = Group(8, {1, 2, 3})
    for me in (1, 2, 3):
        group.act(me)
    before = dict(group.owners)
    for me in (3, 1, 2):
        group.act(me)
    assert group.owners == before


def test_more_members_than_parts_leave_some_idle() -> None:
    group = Group(2, {1, 2, 3})
    for me in (3, 1, 2):
        group.act(me)
    assert group.sizes() == [0, 1, 1]


def _take_turns(group: Group, order: Random) -> None:
    for _ in range(3):
        for me in order.sample(sorted(group.members), len(group.members)):
            group.act(me)
