"""Which partition a key lives on: one function, used by every producer."""

from functools import lru_cache

_MASK = 0xFFFF_FFFF
_MULTIPLIER = 0x5BD1_E995


@lru_cache(maxsize=1 << 16)
def part(key: bytes, partitions: int) -> int:
    """The partition of `key` among `partitions`: murmur2, as Kafka's Java client computes it.

    Source: org.apache.kafka.common.utils.Utils.murmur2 and toPositive.
    """
    return (murmur2(key) & 0x7FFF_FFFF) % partitions


def murmur2(data: bytes) -> int:
    """Austin Appleby's MurmurHash2, 32 bits, with Kafka's seed 0x9747b28c; an unsigned int."""
    length = len(data)
    value = 0x9747_B28C ^ length
    whole = length & ~3
    for word in memoryview(data)[:whole].cast("I") if whole else ():
        mixed = word * _MULTIPLIER & _MASK
        mixed ^= mixed >> 24
        value = (value * _MULTIPLIER & _MASK) ^ (mixed * _MULTIPLIER & _MASK)
    rest = length - whole
    if rest:
        value ^= int.from_bytes(data[whole:], "little")
        value = value * _MULTIPLIER & _MASK
    value ^= value >> 13
    value = value * _MULTIPLIER & _MASK
    return value ^ value >> 15
