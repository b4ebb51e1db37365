"""Measurements that `make bench` runs; each writes JSON beside the command that made it."""
