"""Event files that TensorBoard reads, written without TensorFlow.

A file is a row of records, TFRecord's framing of protocol buffers: the length (8 bytes), its masked CRC-32C, the
message and its masked CRC-32C. The message is tensorflow.Event with wall_time (field 1), step (2) and either
file_version (3) or summary (5), which holds one value of a tag (1) and a simple_value (2).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

_POLYNOMIAL = 0x82F63B78  # of CRC-32C (Castagnoli), bits reversed


def _row(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_TABLE = tuple(map(_row, range(256)))


def crc32c(data: bytes) -> int:
    """The checksum of RFC 3720, appendix B.4."""
    value = 0xFFFFFFFF
    for byte in data:
        value = (value >> 8) ^ _TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def append(path: Path, values: Mapping[str, float], *, step: int, wall_time: float) -> None:
    """Append one value of each tag to the event file, which begins with its version where it is new."""
    events = [_event(wall_time, step, b"\x2a" + _sized(_summary(tag, value))) for tag, value in values.items()]
    if not path.exists():
        events.insert(0, _event(wall_time, 0, b"\x1a" + _sized(b"brain.Event:2")))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as stream:
        stream.write(b"".join(map(_record, events)))


def _record(message: bytes) -> bytes:
    length = struct.pack("<Q", len(message))
    return length + _masked(length) + message + _masked(message)


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _event(wall_time: float, step: int, content: bytes) -> bytes:
    return b"\x09" + struct.pack("<d", wall_time) + b"\x10" + _varint(step) + content


def _summary(tag: str, value: float) -> bytes:
    return b"\x0a" + _sized(b"\x0a" + _sized(tag.encode()) + b"\x15" + struct.pack("<f", value))


def _sized(content: bytes) -> bytes:
    return _varint(len(content)) + content


def _varint(number: int) -> bytes:
    low = bytearray()
    while number > 0x7F:
        low.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*low, number])
