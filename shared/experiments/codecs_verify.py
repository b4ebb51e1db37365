"""Hold model files against their cards: digest, parameter count, NMSE, or SGCS of precoders."""

from dataclasses import asdict, dataclass

from shared.channels import load_channels, shipped_datasets
from shared.codecs import load_codec
from shared.errors import DataFileError, InvalidArgumentError
from shared.model_files import ModelFile, count_parameters
from shared.training.fit import measure_nmse_db, measure_sgcs

TOLERANCE_DB = 0.1
TOLERANCE_SGCS = 0.002
EXACT_DB = -200.0  # what an exact reconstruction counts as here: below the rounding of float32


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of one model.

    Attributes:
        codec: Its name.
        sha256: Digest of the file, equal to the card's (loading refuses any other), with that of the code where a
            reference was given; None for one that does not load.
        num_parameters: Counted in the file; None for one that does not load.
        nmse_off_db: Largest distance of a measured NMSE from the card's; None where the test split is not here, or the
            card has none.
        sgcs_off: Likewise of the SGCS.
        verdict: ``ok``, or what is wrong.
    """

    codec: str
    sha256: str | None
    num_parameters: int | None
    nmse_off_db: float | None
    sgcs_off: float | None
    verdict: str

    def as_dict(self) -> dict[str, object]:
        """Return it for JSON."""
        return asdict(self)


def verify_codec(name: str, data: str | None = None) -> Verification:
    """Load a model and measure it on its test split.

    Args:
        name: What `shared.codecs.load_codec` takes.
        data: The test split; None for the data set of the card's name, where it ships.

    Returns:
        What came of it; a file that cannot be loaded, or ``data`` that is not the card's test split, is a verdict.
    """
    try:
        return _verify(load_codec(name), data)
    except (DataFileError, InvalidArgumentError) as error:
        return Verification(name, None, None, None, None, str(error))


def _verify(model: ModelFile, data: str | None) -> Verification:
    card = model.card
    count = count_parameters(model.tensors)
    name = card.test_data.split(",")[0]
    if not card.measured and not card.measured_sgcs:
        kind = "SGCS" if card.output == "precoder" else "NMSE"
        return Verification(card.name, card.sha256, count, None, None, f"{kind}: none in the card")
    if data is None and name not in shipped_datasets():
        return Verification(card.name, card.sha256, count, None, None, f"test split {name} is not here: give --data")
    test = load_channels(data or name)
    if not card.test_data.endswith(test.sha256):
        raise InvalidArgumentError(f"`data` of {card.name} must be {card.test_data}; got sha256 {test.sha256}.")
    off = {point.rate: _distance(measure_nmse_db(model, test, point.rate), point.nmse_db) for point in card.measured}
    sgcs_off = {point.rate: abs(measure_sgcs(model, test, point.rate) - point.sgcs) for point in card.measured_sgcs}
    far = [str(rate) for rate, distance in off.items() if distance > TOLERANCE_DB]
    sgcs_far = [str(rate) for rate, distance in sgcs_off.items() if distance > TOLERANCE_SGCS]
    wrong = [
        *(
            [f"parameters: {card.num_parameters} in the card, {count} in the file"]
            if count != card.num_parameters
            else []
        ),
        *([f"NMSE: more than {TOLERANCE_DB} dB from the card at {', '.join(far)} bits"] if far else []),
        *([f"SGCS: more than {TOLERANCE_SGCS} from the card at {', '.join(sgcs_far)} bits"] if sgcs_far else []),
    ]
    nmse_off_db, worst_sgcs = max(off.values(), default=None), max(sgcs_off.values(), default=None)
    return Verification(card.name, card.sha256, count, nmse_off_db, worst_sgcs, "; ".join(wrong) or "ok")


def _distance(measured_db: float | None, card_db: float | None) -> float:
    found, wanted = (EXACT_DB if value is None else value for value in (measured_db, card_db))
    return abs(found - wanted)
