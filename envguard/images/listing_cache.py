"""Listings of layers kept between runs: a base image that was read once costs nothing again.

A kept listing is believed when its checksum is right and its diff ID is the one asked for; else
it counts as absent. The folder is as trusted as the program's own files: it is the user's cache.
"""

import hashlib
from pathlib import Path

from envguard import storage
from envguard.images.listing import LayerListing
from envguard.model.digest import Digest

_VERSION = "1"
"""Raise it when the meaning of a listing, or what is kept of the contents, changes."""


def kept_listing(folder: Path, layer: Digest, diff_id: Digest) -> LayerListing | None:
    """The listing of *layer*, or ``None`` when it is not kept or not whole."""
    import msgspec

    try:
        data = _path(folder, layer).read_bytes()
    except OSError:
        return None
    if hashlib.sha256(data[32:]).digest() != data[:32]:
        return None
    try:
        listing = msgspec.msgpack.decode(data[32:], type=LayerListing)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return listing if listing.diff_id == str(diff_id) else None


def keep_listing(folder: Path, layer: Digest, listing: LayerListing) -> None:
    """Keep *listing* for the next run; a cache that cannot be written is no error."""
    import msgspec

    try:
        data = msgspec.msgpack.encode(listing)
        storage.write(_path(folder, layer), hashlib.sha256(data).digest() + data)
    except (OSError, UnicodeEncodeError):  # a full disk, or names that are not UTF-8
        return


def _path(folder: Path, layer: Digest) -> Path:
    return folder / f"v{_VERSION}" / f"{layer.algorithm}-{layer.hex}"
