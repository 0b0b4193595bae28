"""Container images: written without an engine, read without running anything.

`layer` turns files into one deterministic tar layer, most of it spliced out of the wheels' own
deflate streams (`gzip_members`). `image` is the OCI image specification as values: descriptors,
manifest and configuration, and the `Image` protocol that every place with images offers.
`layout`, `archive` and `daemon` are such places. `tree` is the file system that the layers of any
image add up to, as the `Files` that every format reader takes.

Nothing is ever extracted to a disk in order to be read, and no byte is used before its digest is
known to be the one that the manifest and the configuration state.
"""
