"""Wheels: fetched against their pins, kept by digest, read strictly, and laid out as installers do.

`fetch` brings pinned files into the `vault`; `archive` opens one of them and refuses whatever two
common zip readers see differently; `content` hashes what is inside and checks it against the
wheel's own RECORD; `unpack` plans the files that an installer would put into a prefix. Nothing
that is read is executed, and nothing is extracted in order to be read.
"""
