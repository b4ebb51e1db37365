"""The UE process: channels, encoder, link, and a gRPC sender."""
