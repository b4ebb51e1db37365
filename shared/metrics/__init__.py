"""What a CSI-feedback paper measures. A new metric is one file here and one line in `METRICS`.

Every entry maps (h_hat, h) to one float64 number a report; bit errors are counted from bits, beside it.
"""

from collections.abc import Callable

from torch import Tensor

from shared.metrics.bit_errors import bit_errors
from shared.metrics.intervals import Interval, mean_interval, to_db, wilson_interval
from shared.metrics.nmse import nmse
from shared.metrics.sgcs import sgcs

METRICS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"nmse": nmse, "sgcs": sgcs}

__all__ = ["METRICS", "Interval", "bit_errors", "mean_interval", "nmse", "sgcs", "to_db", "wilson_interval"]
