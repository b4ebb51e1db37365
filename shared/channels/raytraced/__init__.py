"""Ray-traced streets, made with Sionna RT (extra `raytracing`; imported only when paths are traced)."""

from shared.channels.raytraced.pool import Pool, trace_pool
from shared.channels.raytraced.settings import PRESETS, SCENES, Raytraced, settings_of

__all__ = ["PRESETS", "SCENES", "Pool", "Raytraced", "settings_of", "trace_pool"]
