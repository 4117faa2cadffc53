"""Sharing a group's parts out: evenly, completely, and with few that change hands."""

from hypothesis import given
from hypothesis import strategies as st

from eventlog.kafka_assignor import share

PARTS = range(16)
claims = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=3),
    st.lists(st.integers(0, 40), max_size=16),
    min_size=1,
    max_size=20,
)


@given(claims)
def test_every_part_has_one_owner_and_shares_are_even(claims: dict[str, list[int]]) -> None:
    shares = share(PARTS, claims)
    assert shares.keys() == claims.keys()
    assert sorted(number for numbers in shares.values() for number in numbers) == list(PARTS)
    sizes = [len(numbers) for numbers in shares.values()]
    assert max(sizes) - min(sizes) <= 1


@given(claims)
def test_an_even_sharing_stays_as_it_is(claims: dict[str, list[int]]) -> None:
    settled = share(PARTS, claims)
    assert share(PARTS, settled) == settled


@given(claims)
def test_who_stays_keeps_all_when_another_leaves(claims: dict[str, list[int]]) -> None:
    settled = share(PARTS, claims)
    gone = min(settled)
    rest = {member: numbers for member, numbers in settled.items() if member != gone}
    if rest:
        after = share(PARTS, rest)
        assert all(set(numbers) <= set(after[member]) for member, numbers in rest.items())


def test_a_newcomer_takes_only_its_share() -> None:
    settled = share(PARTS, {"a": [], "b": []})
    after = share(PARTS, {**settled, "c": []})
    moved = sum(len(set(settled[member]) - set(after[member])) for member in settled)
    assert moved == len(after["c"]) == 5


def test_no_parts_are_shared_without_error() -> None:
    assert share((), {"a": [1], "b": []}) == {"a": [], "b": []}
