"""The codebooks of the standard, Type I and enhanced Type II: codecs that report a precoder and learn nothing."""
