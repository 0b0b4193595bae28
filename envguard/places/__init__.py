"""Places: where files are. Each is a `Files` tree, or leads to one; none knows what bytes mean.

* `folder`: a folder of this machine, or one file of it, read without leaving it.
* `digest_cache`: what was hashed before and has not changed since.
* `process`: a live interpreter, asked by one standard-library script; its packages are then read
  as files, like everybody else's.
"""
