"""How a group's parts are shared out: evenly, and as few as possible change hands."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

_VERSION = 0

_held = msgspec.json.Decoder(list[int])


class StickyAssignor:
    """One per member, for a group whose members subscribe to one topic each.

    aiokafka's own sticky assignor keeps what a member holds on the class, so that two groups of one
    process would mix theirs.
    """

    name = "footfall-sticky"

    def __init__(self) -> None:
        self._parts: list[int] = []

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """What this member tells the group's leader: the parts it holds."""
        return ConsumerProtocolMemberMetadata(_VERSION, list(topics), msgspec.json.encode(self._parts))

    def assign(
        self, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """What the leader decides, by member id."""
        claims: dict[str, dict[str, list[int]]] = {}
        for member_id, member in members.items():
            held = _held.decode(member.user_data or b"[]")
            for topic in member.subscription:
                claims.setdefault(topic, {})[member_id] = held
        given: dict[str, list[tuple[str, list[int]]]] = {member_id: [] for member_id in members}
        for topic, of_topic in claims.items():
            for member_id, numbers in share(cluster.partitions_for_topic(topic) or (), of_topic).items():
                given[member_id].append((topic, numbers))
        return {
            member_id: ConsumerProtocolMemberAssignment(_VERSION, numbers, b"")
            for member_id, numbers in given.items()
        }

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Remember what this member was given."""
        self._parts = [where.partition for where in assignment.partitions()]


def share(parts: Iterable[int], claims: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
    """Each of `parts` to one member; members' shares differ by at most one.

    A member keeps of its claims what its share allows. Of two that claim the same part, one keeps it.
    """
    free = set(parts)
    kept: dict[str, list[int]] = {}
    for member in sorted(claims):
        kept[member] = sorted(free.intersection(claims[member]))
        free.difference_update(kept[member])
    least, larger = divmod(len(free) + sum(map(len, kept.values())), len(claims))
    # The larger shares go to those who hold most: that moves fewest.
    by_holding = sorted(kept, key=lambda member: (-len(kept[member]), member))
    sizes = {member: least + (rank < larger) for rank, member in enumerate(by_holding)}
    for member, size in sizes.items():
        free.update(kept[member][size:])
        del kept[member][size:]
    rest = iter(sorted(free))
    return {
        member: sorted([*numbers, *(next(rest) for _ in range(sizes[member] - len(numbers)))])
        for member, numbers in kept.items()
    }
