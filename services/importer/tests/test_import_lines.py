"""A file's lines and their places, whatever lies between them."""

import gzip
from pathlib import Path

import pytest

from importer.spooled import MAX_LINE_BYTES, Line, TruncatedFile, identity_of, open_spooled


def read(path: Path, offset: int = 0, number: int = 0) -> list[Line]:
    with open_spooled(path) as spooled:
        return list(spooled.lines(offset, number))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spooled"


def test_only_a_line_feed_ends_a_line(path: Path) -> None:
    content = b"a\x0bb\x0cc\xc2\x85d\re\nsecond\r\nlast"
    path.write_bytes(content)
    lines = read(path)
    assert [line.text for line in lines] == [b"a\x0bb\x0cc\xc2\x85d\re", b"second", b"last"]
    assert [(line.offset, line.end, line.number) for line in lines] == [(0, 11, 1), (11, 19, 2), (19, 23, 3)]


@pytest.mark.parametrize("packed", [False, True])
def test_reading_goes_on_at_every_line_end(path: Path, packed: bool) -> None:
    content = b"".join(b"line %d " % n + b"x" * (n * 997 % 90_000) + b"\n" for n in range(30))
    path.write_bytes(gzip.compress(content) if packed else content)
    whole = read(path)
    assert [line.number for line in whole] == list(range(1, 31))
    for at, line in enumerate(whole):
        assert content[line.offset : line.end - 1] == line.text
        assert read(path, line.end, line.number) == whole[at + 1 :]


def test_a_line_longer_than_the_bound_is_skipped_with_its_place(path: Path) -> None:
    long = b"y" * (3 * MAX_LINE_BYTES)
    path.write_bytes(b"first\n" + long + b"\nlast\n")
    first, middle, last = read(path)
    assert (first.too_long, middle.too_long, last.too_long) == (False, True, False)
    assert (middle.offset, middle.end, middle.number) == (6, 6 + len(long) + 1, 2)
    assert len(middle.text) <= 4096
    assert (last.text, last.offset, last.number) == (b"last", middle.end, 3)


def test_a_line_of_exactly_the_bound_is_read(path: Path) -> None:
    path.write_bytes(b"z" * MAX_LINE_BYTES + b"\n" + b"z" * (MAX_LINE_BYTES + 1))
    assert [line.too_long for line in read(path)] == [False, True]


def test_nul_blocks_left_by_copytruncate_belong_to_no_line(path: Path) -> None:
    hole = b"\0" * (2 * MAX_LINE_BYTES + 17)
    path.write_bytes(b"first\n" + hole + b"second\n\0\0third\n" + hole)
    lines = read(path)
    assert [(line.text, line.number) for line in lines] == [(b"first", 1), (b"second", 2), (b"third", 3)]
    assert lines[1].offset == 6 + len(hole)
    assert not any(line.too_long for line in lines)


def test_gzip_is_recognised_also_inside_gzip_and_in_several_members(path: Path) -> None:
    path.write_bytes(gzip.compress(gzip.compress(b"one\n") + gzip.compress(b"two\n")))
    assert [line.text for line in read(path)] == [b"one", b"two"]


def test_a_cut_gzip_gives_its_whole_lines_and_then_says_so(path: Path) -> None:
    content = b"".join(b"line %d\n" % (n * 7919) for n in range(50_000))
    packed = gzip.compress(content)
    path.write_bytes(packed[: len(packed) // 2])
    seen: list[bytes] = []
    with open_spooled(path) as spooled, pytest.raises(TruncatedFile):
        seen.extend(line.text for line in spooled.lines())
    assert len(seen) > 10_000
    assert b"\n".join(seen) + b"\n" == content[: sum(map(len, seen)) + len(seen)]


def test_a_byte_order_mark_is_not_part_of_the_first_line(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf{}\n")
    assert read(path)[0].text == b"{}"


def test_a_file_keeps_its_identity_when_it_grows(path: Path) -> None:
    path.write_bytes(b"x" * 2000)
    with open_spooled(path) as spooled:
        before = spooled.start()
    path.write_bytes(b"x" * 2000 + b"more")
    with open_spooled(path) as spooled:
        after = spooled.start()
        assert [line.offset for line in spooled.lines()] == [0]
    assert identity_of(before) == identity_of(after)


def test_an_empty_file_has_no_lines(path: Path) -> None:
    path.write_bytes(b"")
    assert read(path) == []
