"""Benchmarks: `make bench`. One run, everything on this machine, side by side with a peer."""
