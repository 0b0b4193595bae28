"""What a model's own files say, read without running any of it: bytes -> manifest, needs, gaps.

`manifest` hashes a tree of files into the identity of a model. `read` recognises each file by its
content, hands it to the one reader of that format, and collects what the readers found.

Three promises hold for every reader:

* Inert. Nothing that is read is imported, called or executed, and nothing is opened but the file
  itself.
* Strict. A file that two loaders would understand differently, or that cannot be followed to its
  last byte, is damaged (`UnreadableError`); something that a loader does at run time and no reader
  can foresee is a `Gap`. What is not understood at all is a `Gap` too, so a model is clean only
  when every byte of it was.
* Bounded. Files are streamed; `limits.Limits` caps what a hostile one can cost.

To add a format: write a reader (`reading.Reader`), name the bytes that its files begin with in
`recognise`, and list it in `read.READERS`.
"""
