"""Tells formats apart by the bytes that files begin with, never by their names."""

from envguard.artifacts.compressed import CODECS

HEAD = 512
"""Bytes that are looked at."""

_NEWEST_PICKLE = 5
# The opcodes that can come first without a PROTO before them.
_PICKLE_STARTS = frozenset(
    b"(cIJKLMNFGSTUVXP]})BC\x82\x83\x84\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x95\x96\x97"
)

# torch.save before 1.6: protocol 2, then LONG1 of ten bytes, MAGIC_NUMBER.
_LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_MAGICS = (
    (0, b"PK\x03\x04", "zip archive"),
    (0, b"PK\x05\x06", "zip archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z archive"),
    (257, b"ustar", "tar archive"),
    (0, b"\x89HDF\r\n\x1a\n", "HDF5 file"),
    (0, b"GGUF", "GGUF model"),
    (0, b"CBM1", "CatBoost model"),
    (0, b"tree\n", "LightGBM model"),
    (4, b"TFL3", "TensorFlow Lite model"),
    (0, b"\x93NUMPY", "NumPy array"),
    (0, b"PAR1", "Parquet file"),
    (0, b"ARROW1", "Arrow file"),
    (0, b"SQLite format 3\0", "SQLite database"),
    (0, b"\x7fELF", "ELF file"),
    (0, b"ZF", "joblib file before 0.10"),
    (0, b"\x04\x22\x4d\x18", "lz4-compressed file"),
    (0, b"\x28\xb5\x2f\xfd", "Zstandard-compressed file"),
)


def format_of(head: bytes) -> str | None:
    """The name of the format of a file that begins with *head*, or ``None``.

    ``pickle`` is certain; ``perhaps pickle`` has no magic number (protocols 0 and 1), so only
    reading it to its end can tell.
    """
    if head.startswith(_LEGACY_TORCH):
        return "legacy PyTorch file"
    if head[:1] == b"\x80" and len(head) > 1 and head[1] <= _NEWEST_PICKLE:
        return "pickle"
    for offset, magic, name in _MAGICS:
        if head.startswith(magic, offset):
            return name
    for codec in CODECS:
        if codec.recognises(head):
            return codec.name
    if head[8:10] == b'{"' and head[5:8] == b"\0\0\0":  # a length of eight bytes, then JSON
        return "safetensors file"
    return "perhaps pickle" if head[:1] and head[0] in _PICKLE_STARTS else None
