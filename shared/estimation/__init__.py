"""What the UE believes its channel is, h -> h_est. A new estimator is one file here and one line in `ESTIMATORS`."""

from collections.abc import Callable

from torch import Tensor

from shared.errors import InvalidArgumentError
from shared.estimation.additive import AdditiveErrorEstimator
from shared.estimation.base import CNR_DB_RANGE, Estimator
from shared.estimation.lmmse import LmmseEstimator
from shared.estimation.ls import LsEstimator
from shared.estimation.perfect import PerfectEstimator
from shared.types import CsiShape

# Each is made from the shape of the channels and from channels whose statistics it may know.
ESTIMATORS: dict[str, Callable[[CsiShape, Tensor], Estimator]] = {
    "perfect": lambda _shape, _statistics: PerfectEstimator(),
    "ls": lambda shape, _statistics: LsEstimator(shape),
    "lmmse": LmmseEstimator,
    "additive": lambda _shape, _statistics: AdditiveErrorEstimator(),
}

__all__ = ["CNR_DB_RANGE", "ESTIMATORS", "Estimator", "make_estimator", "require_estimation"]


def make_estimator(name: str, shape: CsiShape, statistics: Tensor) -> Estimator:
    """Build an estimator.

    Args:
        name: Key of `ESTIMATORS`.
        shape: Shape and domain of the channels.
        statistics: [num_channels, num_rx_ant, num_tx_ant, num_subcarriers] complex64, channels whose statistics it may
            know.

    Raises:
        InvalidArgumentError: If there is no such estimator, or it cannot work with these channels.
    """
    _require_name(name)
    return ESTIMATORS[name](shape, statistics)


def require_estimation(name: str, cnr_db: float | None) -> None:
    """Refuse an estimator that does not exist, or one with a CNR that does not go with it.

    Raises:
        InvalidArgumentError: Naming the wanted and the found.
    """
    _require_name(name)
    low, high = CNR_DB_RANGE
    if name == PerfectEstimator.name:
        if cnr_db is not None:
            raise InvalidArgumentError(f"`cnr_db` must not be given with estimator {name}; got {cnr_db:g}.")
    elif cnr_db is None:
        raise InvalidArgumentError(f"`cnr_db` must be given with estimator {name}; got none.")
    elif not low <= cnr_db <= high:
        raise InvalidArgumentError(f"`cnr_db` must be in [{low:g}, {high:g}]; got {cnr_db:g}.")


def _require_name(name: str) -> None:
    if name not in ESTIMATORS:
        raise InvalidArgumentError(f"`estimator` must be one of {', '.join(ESTIMATORS)}; got {name[:64]!r}.")
