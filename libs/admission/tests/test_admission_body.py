import gzip
import os
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard

from admission import BodyRefused, inflate
from admission.limits import MAX_BODY_BYTES

Encode = Callable[[bytes], bytes]


def _raw_deflate(plain: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(plain) + stream.flush()


ENCODERS: dict[str, tuple[str, Encode]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-GZip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "deflate without its wrapper": ("deflate", _raw_deflate),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", zstandard.compress),
}
PLAIN = [b'{"action":"a"}', b'[{"action":"a"}]' * 20_000, os.urandom(300_000)]


@pytest.mark.parametrize("plain", PLAIN, ids=["small", "repetitive", "random"])
@pytest.mark.parametrize(("name", "encode"), ENCODERS.values(), ids=ENCODERS)
def test_each_encoding_is_undone(name: str, encode: Encode, plain: bytes) -> None:
    assert inflate(encode(plain), name) == plain


@pytest.mark.parametrize(("name", "encode"), ENCODERS.values(), ids=ENCODERS)
@pytest.mark.parametrize("damage", ["cut", "junk after", "not compressed", "empty"])
def test_a_damaged_body_is_refused(name: str, encode: Encode, damage: str) -> None:
    whole = encode(os.urandom(1_000))
    body = {"cut": whole[:-4], "junk after": whole + b"junk", "not compressed": b'{"a":1}', "empty": b""}[
        damage
    ]
    if damage == "empty" and encode is gzip.compress:
        return
    with pytest.raises(BodyRefused) as refused:
        inflate(body, name)
    assert refused.value.code == "corrupt_encoding"


def test_gzip_is_recognised_without_its_header() -> None:
    assert inflate(gzip.compress(b"{}"), "") == b"{}"
    assert inflate(gzip.compress(b"{}"), "identity") == b"{}"


def test_gzip_members_and_zstd_frames_follow_one_another() -> None:
    assert inflate(gzip.compress(b"[1") + gzip.compress(b",2]") + b"\0\0\0", "gzip") == b"[1,2]"
    assert inflate(zstandard.compress(b"[1") + zstandard.compress(b",2]"), "zstd") == b"[1,2]"


BOMBS: dict[str, Encode] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda plain: brotli.compress(plain, quality=4),
    "zstd": zstandard.compress,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_stopped_early(name: str) -> None:
    with pytest.raises(BodyRefused) as refused:
        inflate(BOMBS[name](bytes(64 * 1024 * 1024)), name)
    assert refused.value.code == "compression_ratio"
    assert refused.value.reason == "too_large"


@pytest.mark.parametrize("name", BOMBS)
def test_more_than_the_limit_is_refused_at_a_modest_ratio(name: str) -> None:
    plain = os.urandom(MAX_BODY_BYTES // 2 + 1).hex().encode()
    with pytest.raises(BodyRefused) as refused:
        inflate(BOMBS[name](plain), name)
    assert refused.value.code == "body_too_large"


def test_many_small_gzip_members_are_bounded_together() -> None:
    member = gzip.compress(bytes(700_000))
    with pytest.raises(BodyRefused) as refused:
        inflate(member * 40, "gzip")
    assert refused.value.reason == "too_large"


def test_a_plain_body_is_bounded() -> None:
    assert inflate(b"x" * 10, "", max_bytes=10) == b"x" * 10
    with pytest.raises(BodyRefused) as refused:
        inflate(b"x" * 11, "", max_bytes=10)
    assert refused.value.code == "body_too_large"


@pytest.mark.parametrize("name", ["gzip, gzip", "br,gzip", "compress", "lz4", "gzip;q=1"])
def test_unknown_and_stacked_encodings_are_named(name: str) -> None:
    with pytest.raises(BodyRefused) as refused:
        inflate(b"{}", name)
    assert refused.value.reason == "unsupported"


def test_gzip_inside_another_encoding_is_refused() -> None:
    with pytest.raises(BodyRefused) as refused:
        inflate(gzip.compress(gzip.compress(b"{}")), "gzip")
    assert refused.value.code == "unsupported_encoding"
