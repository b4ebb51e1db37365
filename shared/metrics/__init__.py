"""What a CSI-feedback paper measures: one file a metric, one float64 number a report, averaged later."""

from shared.metrics.bd_rate import bd_rate
from shared.metrics.bit_errors import bit_errors
from shared.metrics.downlink import Downlink, mrt_downlink, qpsk_bler, zero_forcing_downlink
from shared.metrics.intervals import Interval, mean_interval, ratio_interval, to_db, wilson_interval
from shared.metrics.nmse import nmse
from shared.metrics.nmse_full import nmse_full, nmse_full_from_loss
from shared.metrics.phy_abstraction import coded_downlink_bler
from shared.metrics.precoding import mrt_sinr, zero_forcing_sinr
from shared.metrics.rho import rho, rho_full
from shared.metrics.sgcs import sgcs, sgcs_per_layer_and_subband

__all__ = [
    "Downlink",
    "Interval",
    "bd_rate",
    "bit_errors",
    "coded_downlink_bler",
    "mean_interval",
    "mrt_downlink",
    "mrt_sinr",
    "nmse",
    "nmse_full",
    "nmse_full_from_loss",
    "qpsk_bler",
    "ratio_interval",
    "rho",
    "rho_full",
    "sgcs",
    "sgcs_per_layer_and_subband",
    "to_db",
    "wilson_interval",
    "zero_forcing_downlink",
    "zero_forcing_sinr",
]
