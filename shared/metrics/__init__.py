"""What a CSI-feedback paper measures: one file a metric, one float64 number a report, averaged later."""

from shared.metrics.bit_errors import bit_errors
from shared.metrics.intervals import Interval, mean_interval, ratio_interval, to_db, wilson_interval
from shared.metrics.nmse import nmse
from shared.metrics.sgcs import sgcs

__all__ = ["Interval", "bit_errors", "mean_interval", "nmse", "ratio_interval", "sgcs", "to_db", "wilson_interval"]
