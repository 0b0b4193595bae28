"""Listings of layers kept between runs: a base image that was read once costs nothing again.

A kept listing is believed when it is whole and its diff ID is the one asked for.
"""

from pathlib import Path

from envguard.images import sealed
from envguard.images.listing import LayerListing
from envguard.model.digest import Digest

_VERSION = "3"
"""Raise it when the meaning of a listing, or what is kept of the contents, changes."""


def kept_listing(folder: Path, layer: Digest, diff_id: Digest) -> LayerListing | None:
    """The listing of *layer*, or ``None`` when it is not kept or not whole."""
    listing = sealed.load(_path(folder, layer), LayerListing)
    return listing if listing and listing.diff_id == str(diff_id) else None


def keep_listing(folder: Path, layer: Digest, listing: LayerListing) -> None:
    """Keep *listing* for the next run; names that are not UTF-8 keep it from being kept."""
    sealed.keep(_path(folder, layer), listing)


def _path(folder: Path, layer: Digest) -> Path:
    return folder / f"v{_VERSION}" / f"{layer.algorithm}-{layer.hex}"
