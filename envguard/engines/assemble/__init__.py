"""Images out of pinned wheels, a base and a model: one plan, the same bytes everywhere.

`plan` says which layers an image has and what goes into each; `store` keeps finished layers by
what they were made from; `oci` puts them together into an image, without a daemon.
"""
