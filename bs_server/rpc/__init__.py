"""The gRPC side of the base station: converts, calls a handler, converts."""
