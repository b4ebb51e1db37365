"""CSI-INR: a coordinate network whose codeword the UE finds by gradient steps."""
