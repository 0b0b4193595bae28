"""Which bytes mean what: one pure reader (and writer) for each format, bytes <-> model.

Nothing here opens a path of its own, asks a network or looks at a clock: a reader gets bytes, or
a `envguard.model.files.Files` tree, and gives values of `envguard.model`.
"""
