"""Pins of the identities that decide whether stored answers and trials are used again.

`python -m tests.identity` writes `pins.json` anew, for a change that is made on purpose.
"""
