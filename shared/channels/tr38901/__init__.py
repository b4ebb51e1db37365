"""3GPP TR 38.901 channels, made with Sionna (extra `data`; imported only when channels are made)."""

from shared.channels.tr38901.generate import generate
from shared.channels.tr38901.settings import PRESETS, SCENARIOS, Tr38901, settings_of

__all__ = ["PRESETS", "SCENARIOS", "Tr38901", "generate", "settings_of"]
