"""Engines: they drive the programs that do the heavy work (resolvers, image builders, sandboxes).

An engine takes a request of plain values and gives plain values or bytes back. It knows one
program's command line and nothing of commands, reports or places.
"""
