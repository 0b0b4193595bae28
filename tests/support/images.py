"""Makers of images, layers and tars for tests: real bytes, made in memory or in a folder."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from envguard.images.config import ImageConfig, Runtime
from envguard.images.descriptor import Descriptor, ImagePlatform
from envguard.images.gzip_members import Compression
from envguard.images.image import NewImage, new_image
from envguard.images.layer import LayerEntry, LayerRecord, write_layer
from envguard.images.zip_members import ZipSource
from envguard.model.digest import Digest

LINUX = ImagePlatform(os="linux", architecture="amd64")


def member(name: str, data: bytes = b"", **changes: object) -> tuple[tarfile.TarInfo, bytes]:
    """A tar member: a file with *data*, or what *changes* make of it."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in changes.items():
        setattr(info, key, value)
    return info, data


def folder(name: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.DIRTYPE, mode=0o755)


def link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.SYMTYPE, linkname=target)


def hard_link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.LNKTYPE, linkname=target)


def tar_of(
    members: Iterable[tuple[tarfile.TarInfo, bytes]], format: int = tarfile.PAX_FORMAT
) -> bytes:
    """A tar as the standard library writes it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def image_of_tars(*tars: bytes, compress: bool = True) -> NewImage:
    """An image whose layers are *tars*, lowest first."""
    blobs: dict[Digest, bytes] = {}
    layers: list[Descriptor] = []
    for tar in tars:
        blob = gzip.compress(tar, 1, mtime=0) if compress else tar
        media_type = (Compression.HYBRID if compress else Compression.PLAIN).media_type
        digest = Digest.of(blob)
        blobs[digest] = blob
        layers.append(Descriptor(media_type=media_type, digest=digest, size=len(blob)))
    config = ImageConfig(platform=LINUX, diff_ids=tuple(Digest.of(tar) for tar in tars))
    return new_image(config, layers, lambda digest: buffered(blobs[digest]))


def buffered(data: bytes) -> io.BufferedReader:
    """*data* as the kind of stream that images give."""
    return io.BufferedReader(io.BytesIO(data))


def written(
    entries: Iterable[LayerEntry], compression: Compression = Compression.HYBRID
) -> tuple[bytes, LayerRecord]:
    """A layer's bytes and record."""
    sink = io.BytesIO()
    record = write_layer(entries, sink, compression=compression)
    return sink.getvalue(), record


def image_of_layers(
    *layers: Iterable[LayerEntry],
    compression: Compression = Compression.HYBRID,
    runtime: Runtime | None = None,
) -> NewImage:
    """An image whose layers hold *layers*, lowest first."""
    made = [written(entries, compression) for entries in layers]
    blobs = {record.digest: data for data, record in made}
    config = ImageConfig(
        platform=LINUX,
        diff_ids=tuple(record.diff_id for _, record in made),
        runtime=runtime or Runtime(),
    )
    descriptors = [
        Descriptor(media_type=record.media_type, digest=record.digest, size=record.size)
        for _, record in made
    ]
    return new_image(config, descriptors, lambda digest: buffered(blobs[digest]))


def zip_sources(path: Path, *, pinned: bool = False) -> dict[str, ZipSource]:
    """The members of a zip file by name; with their digests where *pinned*."""
    sources: dict[str, ZipSource] = {}
    with zipfile.ZipFile(path) as archive, path.open("rb") as raw:
        for info in archive.infolist():
            raw.seek(info.header_offset + 26)
            lengths = raw.read(4)
            skipped = int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
            sources[info.filename] = ZipSource(
                path=path,
                offset=info.header_offset + 30 + skipped,
                compressed_size=info.compress_size,
                size=info.file_size,
                crc32=info.CRC,
                deflated=info.compress_type == zipfile.ZIP_DEFLATED,
                digest=Digest.of(archive.read(info)) if pinned else None,
            )
    return sources
