"""A data set -> csilink's own file of the eigenvectors of its channels, with a card."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from shared.channels import DatasetCard, find_channels
from shared.channels.card import write_dataset_card
from shared.channels.eigenvectors import eigenvectors, eigenvectors_of_card
from shared.channels.file import open_stream, read_card_of
from shared.channels.stream import Configuration, ReadOptions, in_its_folder
from shared.channels.writing import write_channels
from shared.errors import InvalidArgumentError
from shared.experiments.import_card import described, import_card
from shared.experiments.replacing import require_replaceable


@dataclass(frozen=True, slots=True)
class EigenvectorJob:
    """What to make eigenvectors of.

    Attributes:
        data: Name of a shipped data set, or a file.
        out: The .npz to write.
        name: Name of the data set that comes out.
        rank: Layers.
        num_subbands: Subbands, a precoder each.
        recipe: Command that makes the file again.
        options: What the source does not say itself.
        overwrite: Whether to replace what another command made.
    """

    data: str
    out: Path
    name: str
    rank: int
    num_subbands: int
    recipe: str
    options: ReadOptions
    overwrite: bool = False


def write_eigenvectors(job: EigenvectorJob, progress: Callable[[int, int], None]) -> DatasetCard:
    """Read a data set chunk by chunk, write the eigenvectors of its channels and a card beside them.

    Args:
        job: What to make.
        progress: Called with the channels written so far and to write.

    Returns:
        The card of the file.

    Raises:
        DataFileError: If the source cannot be used; nothing is then written.
        InvalidArgumentError: If an option does not fit the source.
    """
    if job.out.suffix != ".npz":
        raise InvalidArgumentError(f"`out` must end in .npz; got {job.out.name!r}.")
    source = find_channels(job.data)
    if job.out.resolve() == source.resolve():
        raise InvalidArgumentError(f"`out` must be another file than the source; got `{job.out}`.")
    require_replaceable(job.out, job.recipe, job.overwrite)
    known, digest = read_card_of(source)
    if known is not None and eigenvectors_of_card(known) is not None:
        raise InvalidArgumentError(f"`data` must hold channels; {source.name} holds eigenvectors already.")
    options = replace(job.options, trust_layout=job.options.trust_layout or known is not None)
    stream = eigenvectors(described(open_stream(source, options), known), job.rank, job.num_subbands)
    done = 0

    def report(n: int) -> None:
        nonlocal done
        done += n
        progress(done, stream.num_channels)

    chunks = (h for h, _ in stream.read())
    written = write_channels(job.out, chunks, stream.num_channels, stream.shape.domain, report)
    digests: Configuration = {f"sha256_of_{in_its_folder(source)}": digest}
    sources = [(source.name, known)]
    command = "csi-lab data eigenvectors"
    card = import_card(stream, job.out, job.name, written, None, digests, sources, job.recipe, command)
    card = card.model_copy(update={"title": f"{stream.layout}: {stream.num_channels} channels, {stream.shape}"})
    write_dataset_card(job.out, card)
    return card
