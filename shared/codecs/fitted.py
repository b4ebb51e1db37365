"""What a codec's model is made of before anything is measured of it.

Fitted (tensors, rates, what the card says of them) --make_model--> ModelFile
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from shared.errors import InvalidArgumentError
from shared.model_files import (
    EIGENVECTORS,
    CodecCard,
    ModelFile,
    TrainingRecord,
    count_parameters,
    eigenvectors_tensor,
)
from shared.network_settings import (
    CodebookSettings,
    CoordinateSettings,
    EigenvectorSettings,
    InvertibleSettings,
    JsccSettings,
    NetworkSettings,
    SirenSettings,
)
from shared.types import CsiShape

DIGITAL = ("ideal", "digital")


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a fit gives, and what the card says of it beside what is measured.

    Attributes:
        tensors: Of the model file.
        title: One line for people.
        source: Publication or textbook.
        rates: At which it is measured, increasing; the first and the last are its range.
        links: Links that may carry it.
        output: What a decoder returns.
        length: Whether a report has exactly as many bits as its rate, or as many as its entropy code or codebook gives.
        encoder_macs: Multiply-accumulates of a report.
        decoder_macs: Likewise.
        network: Settings, where it is a network.
        jscc: Settings, where it is a network of joint source-channel coding.
        invertible: Settings, where it is an invertible network.
        coordinates: Settings, where it is a coordinate network.
        siren: Settings, where the weights of a network are what is sent.
        codebook: Settings, where it is a codebook of the standard.
        training: How its weights came to be, where it is a network.
    """

    tensors: dict[str, Tensor]
    title: str
    source: str
    rates: tuple[int, ...]
    links: tuple[str, ...] = DIGITAL
    output: Literal["channel", "precoder"] = "channel"
    length: Literal["fixed", "variable"] = "fixed"
    encoder_macs: int = 0
    decoder_macs: int = 0
    network: NetworkSettings | None = None
    jscc: JsccSettings | None = None
    invertible: InvertibleSettings | None = None
    coordinates: CoordinateSettings | None = None
    siren: SirenSettings | None = None
    codebook: CodebookSettings | None = None
    training: TrainingRecord | None = None


def make_model(
    name: str,
    shape: CsiShape,
    fitted: Fitted,
    codec: str = "",
    recipe: str = "none",
    training_data: str = "none",
    test_data: str = "none",
    eigenvectors: EigenvectorSettings | None = None,
) -> ModelFile:
    """Put a model together, nothing measured; its digest is filled in by whoever saves or loads it.

    Args:
        name: Name of the model.
        shape: Shape and domain of the channels.
        fitted: Tensors, rates, links.
        codec: Key of `shared.codecs.CODECS`; a codec of the user's own needs none.
        recipe: Command that makes it again.
        training_data: What it was fitted on.
        test_data: What it will be measured on.
        eigenvectors: What it was fitted on in the place of channels; what it reports is a precoder then.

    Raises:
        InvalidArgumentError: If the rates are none, or do not increase.

    Example:
        >>> shape = CsiShape("angular-delay", 1, 32, 32)
        >>> make_model("mine", shape, Fitted({}, "Mine", "here", rates=(20, 320))).card.max_rate
        320
    """
    if not fitted.rates or list(fitted.rates) != sorted(set(fitted.rates)):
        raise InvalidArgumentError(f"`rates` of model {name} must be given and increase; got {list(fitted.rates)}.")
    card = CodecCard(
        name=name,
        codec=codec,
        title=fitted.title,
        source=fitted.source,
        sha256="0" * 64,
        domain=shape.domain,
        num_rx_ant=shape.num_rx_ant,
        num_tx_ant=shape.num_tx_ant,
        num_subcarriers=shape.num_subcarriers,
        output=fitted.output if eigenvectors is None else "precoder",
        payload="symbols" if fitted.links == ("analog",) else "bits",
        length=fitted.length,
        min_rate=fitted.rates[0],
        max_rate=fitted.rates[-1],
        links=list(fitted.links),
        num_parameters=count_parameters(fitted.tensors),
        encoder_macs=fitted.encoder_macs,
        decoder_macs=fitted.decoder_macs,
        recipe=recipe,
        training_data=training_data,
        test_data=test_data,
        measured=[],
        eigenvectors=eigenvectors,
        network=fitted.network,
        jscc=fitted.jscc,
        invertible=fitted.invertible,
        coordinates=fitted.coordinates,
        siren=fitted.siren,
        codebook=fitted.codebook,
        training=fitted.training,
    )
    extra = {} if eigenvectors is None else {EIGENVECTORS: eigenvectors_tensor(eigenvectors)}
    return ModelFile(card, fitted.tensors | extra)
