"""The label of a refinement: one word whose options, in any order, colons divide; what a UE asks for.

never                           nothing is refined
always:steps-3:by-rd-umi-nlos   every report that can be used
snr:from-5                      those whose feedback link has an SNR of 5 dB or more
gain:above-0.1                  those of which the refiner's card promises more than 0.1 dB of NMSE a millisecond

`steps-N`: steps of the sampler; 1 unless given, with `gain` the best of the measured numbers. `by-NAME`: the refiner;
the only one that the base station holds for the model unless given.
"""

import re
from dataclasses import dataclass
from typing import Literal, get_args

from shared.errors import InvalidArgumentError, require_in_range
from shared.frame import SNR_DB_RANGE

Policy = Literal["never", "always", "snr", "gain"]

POLICIES: tuple[Policy, ...] = get_args(Policy)
OPTIONS: dict[Policy, tuple[str, ...]] = {
    "never": (),
    "always": ("steps", "by"),
    "snr": ("from", "steps", "by"),
    "gain": ("above", "steps", "by"),
}
_NEEDED: dict[Policy, tuple[str, ...]] = {
    "never": (),
    "always": ("steps",),
    "snr": ("from", "steps"),
    "gain": ("above",),
}
DEFAULT_NUM_STEPS = 1  # the estimate of least error: see `shared.refinement.diffusion`
MAX_STEPS = 1000  # of a refiner's training
MAX_ABOVE = 1e6  # dB a millisecond, more than any refiner gains
_NAME = re.compile("[a-z0-9][a-z0-9.-]{0,99}")


@dataclass(frozen=True, slots=True)
class RefinementLabel:
    """What is refined, in how many steps, by which refiner; `shared.refinement.policy` applies it.

    Attributes:
        policy: Which reports.
        num_steps: Steps of the sampler; None with ``gain`` for the best of the measured numbers, and with ``never``.
        from_db: With ``snr``, the least Es/N0 of the feedback link that is refined.
        above: With ``gain``, the NMSE gain in dB a millisecond that must be exceeded.
        refiner: Name of the refiner; None for the only one of the model.

    Example:
        >>> str(parse_refinement("always:by-rd-umi-nlos:steps-1"))
        'always:by-rd-umi-nlos'
        >>> parse_refinement("snr:from-2.50").from_db
        2.5
    """

    policy: Policy
    num_steps: int | None = None
    from_db: float | None = None
    above: float | None = None
    refiner: str | None = None

    def __post_init__(self) -> None:
        """Refuse what is no refinement.

        Raises:
            InvalidArgumentError: If an option is not the policy's, out of its range, or missing.
        """
        values = {"steps": self.num_steps, "from": self.from_db, "above": self.above, "by": self.refiner}
        for option, value in values.items():
            if value is not None and option not in OPTIONS[self.policy]:
                raise InvalidArgumentError(f"`refinement` {self.policy} must have no {option}-...; got {value!r}.")
            if value is None and option in _NEEDED[self.policy]:
                raise InvalidArgumentError(f"`refinement` {self.policy} must have a {option}-...; got none.")
        if self.num_steps is not None:
            require_in_range("steps-N", self.num_steps, 1, MAX_STEPS)
        if self.from_db is not None:
            require_in_range("from-X", self.from_db, *SNR_DB_RANGE)
        if self.above is not None:
            require_in_range("above-G", self.above, 0, MAX_ABOVE)
        if self.refiner is not None and not _NAME.fullmatch(self.refiner):
            wanted = "the name of a refiner, a-z, 0-9, dots and hyphens"
            raise InvalidArgumentError(f"`by-NAME` must be {wanted}; got {self.refiner[:64]!r}.")

    def __str__(self) -> str:
        """Return the canonical label: fixed order, no defaults."""
        words: list[str] = [self.policy]
        if self.from_db is not None:
            words.append(f"from-{_text(self.from_db)}")
        if self.above:
            words.append(f"above-{_text(self.above)}")
        if self.num_steps is not None and (self.policy == "gain" or self.num_steps != DEFAULT_NUM_STEPS):
            words.append(f"steps-{self.num_steps}")
        if self.refiner is not None:
            words.append(f"by-{self.refiner}")
        return ":".join(words)


NEVER = RefinementLabel("never")


def parse_refinement(label: str) -> RefinementLabel:
    """Read the label of a refinement.

    Args:
        label: A policy, and up to one word for each of its options, in any order.

    Raises:
        InvalidArgumentError: If a word is unknown, two speak of one option, or one that the policy needs is missing; it
            names the word.
    """
    policy, *words = label.split(":")
    if policy not in POLICIES:
        wanted = f"one of {', '.join(POLICIES)}, and options after colons"
        raise InvalidArgumentError(f"`refinement` must be {wanted}; got {label[:64]!r}.")
    found: dict[str, str] = {}
    for word in words:
        option, dash, value = word.partition("-")
        if not dash or option not in OPTIONS[policy]:
            options = ", ".join(f"{name}-..." for name in OPTIONS[policy]) or "none"
            raise InvalidArgumentError(f"Options of `refinement` {policy} must be of {options}; got {word[:64]!r}.")
        if option in found:
            raise InvalidArgumentError(f"`refinement` must have one {option}-...; got a second, {word[:64]!r}.")
        found[option] = value
    with_default = policy in ("always", "snr")
    return RefinementLabel(
        policy,
        num_steps=_steps(found["steps"]) if "steps" in found else DEFAULT_NUM_STEPS if with_default else None,
        from_db=_number("from-X", found["from"]) if "from" in found else None,
        above=_number("above-G", found.get("above", "0")) if policy == "gain" else None,
        refiner=found.get("by"),
    )


def _steps(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text):
        raise InvalidArgumentError(f"`steps-N` must have a whole number N in [1, {MAX_STEPS}]; got {text[:64]!r}.")
    return int(text)


def _number(name: str, text: str) -> float:
    try:
        return float(text) + 0.0  # no negative zero
    except ValueError:
        raise InvalidArgumentError(f"`{name}` must have a number {name[-1]}; got {text[:64]!r}.") from None


def _text(value: float) -> str:
    return repr(value).removesuffix(".0")
