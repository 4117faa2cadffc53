import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.credentials import authorization, credential
from access.keys import new_key

KEY = new_key("write")


def basic(text: str) -> bytes:
    return b"Basic " + base64.b64encode(text.encode())


@pytest.mark.parametrize(
    "value",
    [
        f"Bearer {KEY}".encode(),
        f"bearer  {KEY} ".encode(),
        basic(f"{KEY}:"),
        basic(KEY),
        basic(f":{KEY}"),
        basic(f"anything:{KEY}"),
        basic(f"{KEY}:{new_key('secret')}"),
        basic(f"{KEY}:").rstrip(b"="),
    ],
    ids=range(8),
)
def test_the_key_is_found_in_the_header(value: bytes) -> None:
    headers = [(b"host", b"x"), (b"authorization", value)]
    assert credential(headers, b"") == KEY
    assert authorization(headers) == KEY


@pytest.mark.parametrize(
    "query",
    [f"key={KEY}", f"a=1&key={KEY}&b=2", f"key=&key={KEY}", f"key={KEY[:4]}%{ord(KEY[4]):02x}{KEY[5:]}"],
    ids=range(4),
)
def test_the_key_is_found_in_the_query(query: str) -> None:
    assert credential([], query.encode()) == KEY


@pytest.mark.parametrize(
    "query", [b"", b"key", b"key=", b"monkey=1", b"key=%ff", b"akey=x", b"key=" + b"a" * 5000]
)
def test_no_key_in_the_query(query: bytes) -> None:
    assert credential([], query) is None


def test_the_header_goes_before_the_query() -> None:
    other = new_key("secret")
    assert credential([(b"authorization", f"Bearer {other}".encode())], f"key={KEY}".encode()) == other


def test_an_unusable_header_leaves_the_query() -> None:
    assert credential([(b"authorization", b'Digest username="x"')], f"key={KEY}".encode()) == KEY


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_garbage_never_raises(value: bytes, query: bytes) -> None:
    for scheme in (b"", b"Basic ", b"Bearer "):
        found = credential([(b"authorization", scheme + value)], b"key=" + query)
        assert found is None or found
