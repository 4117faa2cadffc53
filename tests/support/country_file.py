"""A country database in MaxMind's format with two countries: addresses below 128.0.0.0 and those from there on."""

from pathlib import Path

_MARKER = b"\xab\xcd\xefMaxMind.com"
# Between the search tree and the data stand sixteen zero bytes.
_GAP = 16


def write_country_file(path: Path, low: str, high: str) -> None:
    """Write it whole, as an operator's update does: beside the old file, then in its place.

    Source: the MaxMind DB file format, version 2.0.
    """
    first = _map({"country": _map({"iso_code": _text(low)})})
    second = _map({"country": _map({"iso_code": _text(high)})})
    # One node; a record beyond the node count points into the data.
    node = b"".join((1 + _GAP + offset).to_bytes(3, "big") for offset in (0, len(first)))
    metadata = _map(
        {
            "node_count": _number(6, 1),
            "record_size": _number(5, 24),
            "ip_version": _number(5, 4),
            "database_type": _text("Test-Country"),
            "languages": bytes([0x00, 0x04]),
            "binary_format_major_version": _number(5, 2),
            "binary_format_minor_version": _number(5, 0),
            "build_epoch": bytes([0x01, 0x02, 1]),
            "description": _map({}),
        }
    )
    beside = path.with_suffix(".new")
    beside.write_bytes(node + bytes(_GAP) + first + second + _MARKER + metadata)
    beside.replace(path)


def _text(value: str) -> bytes:
    return bytes([2 << 5 | len(value)]) + value.encode()


def _number(kind: int, value: int) -> bytes:
    return bytes([kind << 5 | 1, value])


def _map(fields: dict[str, bytes]) -> bytes:
    return bytes([7 << 5 | len(fields)]) + b"".join(_text(name) + value for name, value in fields.items())
