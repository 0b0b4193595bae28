"""Decompression as a stream: the same bytes as the library's own reader, within limits."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envguard.artifacts.compressed import CODECS, Codec, Decompressed
from envguard.artifacts.limits import Limits
from envguard.model.errors import LimitError, UnreadableError

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "zlib": zlib.compress,
}
each_codec = pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)


def decompress(data: bytes, codec: Codec, limits: Limits | None = None) -> bytes:
    raw = Decompressed(io.BytesIO(data), codec, "model", limits or Limits())
    return io.BufferedReader(raw).read()


@each_codec
@settings(max_examples=25)
@given(st.binary(max_size=2000), st.integers(1, 50))
def test_gives_what_was_compressed(codec: Codec, data: bytes, times: int):
    packed = COMPRESS[codec.name](data * times)
    assert codec.recognises(packed)
    assert decompress(packed, codec) == data * times


@each_codec
def test_gives_large_data_over_many_chunks(codec: Codec):
    data = bytes(range(256)) * 2500
    assert decompress(COMPRESS[codec.name](data), codec) == data


@each_codec
def test_members_in_a_row_are_one_stream_where_their_readers_have_it_so(codec: Codec):
    pack = COMPRESS[codec.name]
    packed = pack(b"one") + pack(b"two")
    if codec.several:
        assert decompress(packed, codec) == b"onetwo"
    else:
        with pytest.raises(UnreadableError, match="bytes follow"):
            decompress(packed, codec)


@each_codec
def test_refuses_what_follows_the_end(codec: Codec):
    with pytest.raises(UnreadableError):
        decompress(COMPRESS[codec.name](b"data") + b"\0", codec)


@each_codec
def test_refuses_every_truncation(codec: Codec):
    packed = COMPRESS[codec.name](b"some data to compress" * 3)
    for size in range(1, len(packed)):
        with pytest.raises(UnreadableError):
            decompress(packed[:size], codec)


@each_codec
@settings(max_examples=50)
@given(st.binary(max_size=300))
def test_damaged_data_give_a_typed_error_or_bytes(codec: Codec, data: bytes):
    try:
        decompress(codec.magic + data, codec)
    except UnreadableError as error:
        assert error.where


@each_codec
def test_a_bomb_stops_at_the_ratio_and_at_the_size(codec: Codec):
    packed = COMPRESS[codec.name](bytes(4 << 20))
    with pytest.raises(LimitError, match="`ratio`"):
        decompress(packed, codec, Limits(ratio_from=1 << 20))
    with pytest.raises(LimitError, match="`decompressed`"):
        decompress(packed, codec, Limits(decompressed=1 << 20))
    assert len(decompress(packed, codec, Limits(ratio_from=1 << 20, ratio=100_000))) == 4 << 20
