"""Values kept between runs in files that begin with the digest of what follows.

A file that is torn, edited or of another shape counts as absent. Its folder is as trusted as the
program's own files: it is in the user's cache.
"""

import hashlib
from pathlib import Path
from typing import TypeVar

from envguard import storage

_Value = TypeVar("_Value")
_SEAL = 32


def load(path: Path, kind: type[_Value]) -> _Value | None:
    """The value that `keep` wrote to *path*; ``None`` when it is not there or not whole."""
    import msgspec

    from envguard.model.codec import decode_hook

    try:
        data = path.read_bytes()
    except OSError:
        return None
    body = memoryview(data)[_SEAL:]
    if hashlib.sha256(body).digest() != data[:_SEAL]:
        return None
    try:
        return msgspec.msgpack.decode(body, type=kind, dec_hook=decode_hook)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def keep(path: Path, value: object) -> None:
    """Keep *value* for the next run; a cache that cannot be written is no error."""
    import msgspec

    from envguard.model.codec import encode_hook

    try:
        data = msgspec.msgpack.encode(value, enc_hook=encode_hook)
        storage.write(path, hashlib.sha256(data).digest() + data)
    except (OSError, UnicodeEncodeError):  # a full disk, or names that are not UTF-8
        return
