"""Undoes a body's Content-Encoding, stopping before a bomb has gone off."""

import zlib
from collections.abc import Callable, Iterator

import brotli
import zstandard

from admission.limits import MAX_BODY_BYTES, MAX_RATIO, RATIO_FREE_BYTES
from admission.refusal import BodyRefused

_CHUNK_BYTES = 64 * 1024
# zstd's object has no bound on its output; so much input cannot become more than 8 MiB (4 bytes make 128 KiB).
_ZSTD_PIECE_BYTES = 256
_MAX_WINDOW_BYTES = 8 * 1024 * 1024
_GZIP_MAGIC = b"\x1f\x8b\x08"
_GZIP = 16 + zlib.MAX_WBITS
_ZLIB = zlib.MAX_WBITS
_RAW_DEFLATE = -zlib.MAX_WBITS


def inflate(body: bytes, encoding: str, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """The body without its Content-Encoding: gzip, deflate, zstd, br or none.

    gzip is also recognised by its first bytes, because some SDKs send it unannounced. Never holds more than
    `max_bytes` and one chunk. Raises BodyRefused.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        name = "gzip" if body.startswith(_GZIP_MAGIC) else ""
    if not name:
        if len(body) > max_bytes:
            raise too_large(max_bytes)
        return body
    decoder = _DECODERS.get(name)
    if decoder is None:
        stacked = "," in name
        raise BodyRefused(
            "unsupported",
            "unsupported_encoding",
            "Several encodings on top of each other are not accepted."
            if stacked
            else f"Content-Encoding {name[:40]!r} is not known here.",
            "Send gzip, deflate, zstd or br, once, or the plain bytes.",
        )
    try:
        decoded = _bounded(decoder(body), len(body), max_bytes)
    except (zlib.error, brotli.error, zstandard.ZstdError, EOFError) as error:
        raise BodyRefused(
            "malformed",
            "corrupt_encoding",
            f"The body is not valid {name}: it is damaged, cut short or not compressed at all.",
            "Compress the whole body once and name the method in Content-Encoding.",
        ) from error
    if decoded.startswith(_GZIP_MAGIC):
        raise BodyRefused(
            "unsupported",
            "unsupported_encoding",
            "The decoded body is gzip again.",
            "Compress the body once.",
        )
    return decoded


def _bounded(chunks: Iterator[bytes], sent_bytes: int, max_bytes: int) -> bytes:
    decoded = bytearray()
    for chunk in chunks:
        size = len(decoded) + len(chunk)
        if size > max_bytes:
            raise too_large(max_bytes)
        if size > max(RATIO_FREE_BYTES, MAX_RATIO * sent_bytes):
            raise BodyRefused(
                "too_large",
                "compression_ratio",
                f"The body grows to more than {MAX_RATIO} times its size when decoded.",
                "Send fewer repeated bytes, or send the body uncompressed.",
            )
        decoded += chunk
    return bytes(decoded)


def too_large(max_bytes: int) -> BodyRefused:
    """The refusal of a body larger than `max_bytes`, before or after decoding."""
    return BodyRefused(
        "too_large",
        "body_too_large",
        f"The body is larger than {max_bytes:,} bytes.",
        "Send smaller batches.",
    )


def _gzip(body: bytes) -> Iterator[bytes]:
    """Every member in turn; zero bytes after the last one are padding."""
    member = zlib.decompressobj(_GZIP)
    for piece in _pieces(body, _CHUNK_BYTES):
        rest = piece
        while rest:
            if member.eof:
                rest = rest.lstrip(b"\0")
                if not rest:
                    break
                member = zlib.decompressobj(_GZIP)
            yield member.decompress(rest, _CHUNK_BYTES)
            rest = member.unused_data or member.unconsumed_tail
    yield from _flushed(member)


def _deflate(body: bytes) -> Iterator[bytes]:
    """zlib's format as the RFC says, or the bare deflate stream that some clients send."""
    wrapped = len(body) > 1 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    stream = zlib.decompressobj(_ZLIB if wrapped else _RAW_DEFLATE)
    for piece in _pieces(body, _CHUNK_BYTES):
        rest = piece
        while rest:
            if stream.eof:
                raise EOFError
            yield stream.decompress(rest, _CHUNK_BYTES)
            rest = stream.unused_data or stream.unconsumed_tail
    yield from _flushed(stream)


def _flushed(stream: "zlib._Decompress") -> Iterator[bytes]:
    # All input may be taken in while a chunk's worth of output is still held back.
    while not stream.eof:
        chunk = stream.decompress(b"", _CHUNK_BYTES)
        if not chunk:
            raise EOFError
        yield chunk


def _brotli(body: bytes) -> Iterator[bytes]:
    stream = brotli.Decompressor()
    yield stream.process(body, output_buffer_limit=_CHUNK_BYTES)
    while not stream.is_finished():
        chunk = stream.process(b"", output_buffer_limit=_CHUNK_BYTES)
        if not chunk and not stream.is_finished():
            raise EOFError
        yield chunk


def _zstd(body: bytes) -> Iterator[bytes]:
    """Every frame in turn."""
    decoder = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES)
    frame = decoder.decompressobj()
    for piece in _pieces(body, _ZSTD_PIECE_BYTES):
        rest = piece
        while rest:
            if frame.eof:
                frame = decoder.decompressobj()
            yield frame.decompress(rest)
            rest = frame.unused_data if frame.eof else b""
    if not frame.eof:
        raise EOFError


def _pieces(body: bytes, size: int) -> Iterator[bytes]:
    return (body[at : at + size] for at in range(0, len(body), size))


_DECODERS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
