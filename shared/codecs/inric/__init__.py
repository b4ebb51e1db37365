"""INRIC, CoINR and COIN as codecs: a channel is sent as the weights of a network."""
