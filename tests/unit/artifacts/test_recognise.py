"""Formats are told apart by content."""

import io
import json
import pickle
import struct
import tarfile
import zipfile

import joblib
import numpy as np
import pytest

from envguard.artifacts.recognise import HEAD, format_of


def zip_file() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("data.pkl", b"x")
    return stream.getvalue()


def tar_file() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    return stream.getvalue()


def npy_file() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.zeros(3))
    return stream.getvalue()


def joblib_bytes(compress: str) -> bytes:
    stream = io.BytesIO()
    joblib.dump([1], stream, compress=(compress, 3))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        *((pickle.dumps([1], protocol), "pickle") for protocol in (2, 3, 4, 5)),
        (pickle.dumps([1], 0), "perhaps pickle"),
        (pickle.dumps({"a": 1}, 1), "perhaps pickle"),
        *((joblib_bytes(c), c) for c in ("zlib", "gzip", "bz2", "xz", "lzma")),
        (zip_file(), "zip archive"),
        (tar_file(), "tar archive"),
        (npy_file(), "NumPy array"),
        (pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2), "legacy PyTorch file"),
        (struct.pack("<Q", 2) + b'{"', "safetensors file"),
        (b"tree\nversion=v4\n", "LightGBM model"),
        (b"\x80\x06N.", None),
        (json.dumps({"a": 1}).encode(), None),
        (b"", None),
        (b"\x80", None),
    ],
)
def test_names_the_format(data: bytes, name: str | None):
    assert format_of(data[:HEAD]) == name
