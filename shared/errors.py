"""The errors of csilink.

Mapped once to a gRPC status (`bs_server.rpc.status`) and once to HTTP (`bs_server.api.problems`).

    CsiError
    ├── InvalidArgumentError   a value is wrong whatever the state of the system; also a ValueError
    ├── DataFileError          a data, card or model file is missing, foreign, truncated or altered
    ├── ModelMismatchError     the two sides do not hold the same model, protocol, extras or session parameters
    ├── UnauthenticatedError   a call without a token that is known
    ├── NotFoundError          a session, report, codec or reconstruction that does not exist
    ├── OverloadedError        the queue is full; carries the delay after which to try again
    ├── DeadlineError          the deadline of a report passed before it reached the device
    ├── StoreError             reports were decoded, and the database did not take them
    ├── CodecError             a payload that cannot be decoded
    └── UnavailableError       the other side is not there, or is shutting down

A message names the argument, what was wanted and what was found.
"""


class CsiError(Exception):
    """Base of every error that csilink raises on purpose."""


class InvalidArgumentError(CsiError, ValueError):
    """A value is wrong whatever the state of the system."""


class DataFileError(CsiError):
    """A data, card or model file is missing, foreign, truncated or altered."""


class ModelMismatchError(CsiError):
    """The two sides do not hold the same model, protocol, extras or session parameters."""


class UnauthenticatedError(CsiError):
    """A call without a token that is known."""


class NotFoundError(CsiError):
    """A session, report, codec or reconstruction that does not exist."""


class OverloadedError(CsiError):
    """The queue is full.

    Attributes:
        retry_delay_ms: Delay after which the sender may try again.
    """

    def __init__(self, message: str, retry_delay_ms: int) -> None:
        super().__init__(message)
        self.retry_delay_ms = retry_delay_ms


class DeadlineError(CsiError):
    """The deadline of a report passed before it reached the device."""


class StoreError(CsiError):
    """Reports were decoded, and the database did not take them."""


class CodecError(CsiError):
    """A payload that cannot be decoded."""


class UnavailableError(CsiError):
    """The other side is not there, or is shutting down."""


def require_in_range(name: str, value: float, low: float, high: float) -> None:
    """Raise unless a number lies in a closed range.

    Args:
        name: The argument.
        value: What was found.
        low: Least that is wanted.
        high: Most that is wanted.

    Raises:
        InvalidArgumentError: Naming the argument, the wanted and the found.
    """
    if not low <= value <= high:
        raise InvalidArgumentError(f"`{name}` must be in [{low:g}, {high:g}]; got {value:g}.")
