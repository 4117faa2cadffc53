"""Our partition of a key is the one every other Kafka client would choose."""

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from eventmodel import part
from eventmodel.part import murmur2


@given(st.binary(max_size=200), st.integers(1, 64))
def test_a_key_lives_where_the_java_client_would_put_it(key: bytes, partitions: int) -> None:
    every = list(range(partitions))
    assert part(key, partitions) == DefaultPartitioner()(key, every, every)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_the_hash_is_that_of_kafka(key: bytes, expected: int) -> None:
    """Source: the vectors of org.apache.kafka.common.utils.UtilsTest."""
    assert murmur2(key) == expected & 0xFFFF_FFFF
