"""The nouns of envguard: plain frozen values that everything else reads, compares or shows.

Nothing here touches a disk, a network or a clock, and nothing here imports another part of
envguard. Three rules hold for every value:

* Not known is never different, and never clean: what could not be seen is a `Gap`, and every
  section of an `Environment` says how much of it was seen.
* Identity against observation: a `Fingerprint` has one identity on every machine; hosts, clocks
  and paths stay outside it.
* Alternatives are a union of classes, told apart with `match`.
"""
