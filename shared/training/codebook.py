"""The codebooks of the standard as models: nothing is learned, their settings are all that there is."""

from shared.codecs.codebook.beams import OVERSAMPLING
from shared.codecs.codebook.etype2_format import etype2_formats
from shared.codecs.codebook.layers import require_codebook
from shared.codecs.codebook.model import codebook_tensor
from shared.codecs.codebook.type1 import type1_formats
from shared.codecs.fitted import Fitted
from shared.errors import InvalidArgumentError
from shared.network_settings import CodebookSettings
from shared.types import CsiShape

CODEBOOKS = {  # title, source
    "type1": ("Type I codebook, single panel", "3GPP TS 38.214, 5.2.2.2.1"),
    "etype2": ("Enhanced Type II codebook of Release 16", "3GPP TS 38.214, 5.2.2.2.5"),
}
MACS = 4  # real multiply-accumulates of a complex one


def make_codebook(codec: str, shape: CsiShape, settings: CodebookSettings) -> Fitted:
    """Return what a model of a codebook is made of; it is measured at the most bits of each configuration.

    Args:
        codec: Key of `CODEBOOKS`.
        shape: Of the channels.
        settings: Rank, subbands, port mapping.

    Raises:
        InvalidArgumentError: If there is no such codebook for such channels.

    Example:
        >>> make_codebook("type1", CsiShape("angular-delay", 1, 32, 32), CodebookSettings(num_subbands=8)).rates
        (8, 22, 37)
    """
    if codec not in CODEBOOKS:
        raise InvalidArgumentError(f"`codec` must be one of {', '.join(CODEBOOKS)}; got {codec!r}.")
    require_codebook(shape, settings)
    if codec == "type1":
        num_beams, sizes = 1, {form.max_bits for form in type1_formats(shape.num_tx_ant, settings)}
    else:
        formats = etype2_formats(shape.num_tx_ant, settings)
        num_beams, sizes = max(form.num_beams for form in formats), {form.max_bits for form in formats}
    title, source = CODEBOOKS[codec]
    # The projections on all beams, and the sums of beams that the precoders are; a search's few more are left out.
    num_layers, num_ant = settings.num_subbands * settings.rank, shape.num_tx_ant // 2
    return Fitted(
        {"codebook": codebook_tensor(codec, shape, settings)},
        title,
        source,
        tuple(sorted(sizes)),
        output="precoder",
        length="variable",
        encoder_macs=MACS * num_layers * shape.num_tx_ant * OVERSAMPLING * num_ant,
        decoder_macs=MACS * num_layers * shape.num_tx_ant * num_beams,
        codebook=settings,
    )
