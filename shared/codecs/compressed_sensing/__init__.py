"""Compressed sensing, nothing learned: random measurements at the UE, a search for few taps at the base station."""
