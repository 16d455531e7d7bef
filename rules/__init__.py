"""The pure core: given changes and the facts about them, what is decided for whom, and why.

It does no I/O, asks no clock and draws no random number: all that it needs is handed to it.
"""
