"""InvCSINet: an invertible network whose forward pass is the encoder and whose inverse is the decoder."""
