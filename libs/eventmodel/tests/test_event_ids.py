"""Ids and partitions: ordered where new, equal where derived, and on the partition every client computes."""

import uuid

from aiokafka.partitioner import murmur2 as reference
from hypothesis import given
from hypothesis import strategies as st

from eventmodel import derived_event_id, identity_hash, new_event_id, part
from eventmodel.part import murmur2


def test_a_new_id_is_a_uuid_of_version_7_that_sorts_by_time() -> None:
    ids = [new_event_id(now_ms) for now_ms in (1, 1_000, 1_700_000_000_000)]
    assert ids == sorted(ids)
    assert {uuid.UUID(one).version for one in ids} == {7}
    assert uuid.UUID(ids[2]).int >> 80 == 1_700_000_000_000


def test_new_ids_of_one_millisecond_differ() -> None:
    assert len({new_event_id(1) for _ in range(1000)}) == 1000


@given(st.lists(st.text(max_size=5) | st.binary(max_size=5), max_size=4), st.integers(0, 3))
def test_a_derived_id_is_the_same_for_the_same_parts_and_only_for_them(
    parts: list[str | bytes], cut: int
) -> None:
    assert derived_event_id(*parts) == derived_event_id(*parts)
    assert derived_event_id(*parts) != derived_event_id(*parts, "")
    assert uuid.UUID(derived_event_id(*parts)).version == 8


def test_parts_are_told_apart_however_they_are_cut() -> None:
    assert derived_event_id("ab", "c") != derived_event_id("a", "bc")


def test_an_identity_is_of_project_user_and_id() -> None:
    same = identity_hash(b"p1:u:ada", "x")
    assert same == identity_hash(b"p1:u:ada", "x")
    assert (
        len(
            {
                same,
                identity_hash(b"p2:u:ada", "x"),
                identity_hash(b"p1:u:bob", "x"),
                identity_hash(b"p1:u:ada", "y"),
            }
        )
        == 4
    )
    assert len(same) == 16


@given(st.binary(max_size=80), st.integers(1, 64))
def test_a_key_lies_where_kafkas_clients_put_it(key: bytes, partitions: int) -> None:
    assert murmur2(key) == reference(bytearray(key)) & 0xFFFF_FFFF
    assert part(key, partitions) == (reference(bytearray(key)) & 0x7FFF_FFFF) % partitions
