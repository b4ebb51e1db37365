"""What runs in the threads that decode: a batch of work in, one result for each out."""

import time
from collections.abc import Sequence, Set
from dataclasses import dataclass, field

import numpy as np
import torch

from bs_server.batching import ChannelDecoded, Decoded, Work
from shared.codecs import DecodeContext, Decoder, SymbolDecoder, make_decoder
from shared.coding.bits import stack_rows
from shared.coding.channel_code import ChannelCode
from shared.coding.codes import make_channel_code
from shared.errors import DataFileError, InvalidArgumentError
from shared.evaluation import Scores, evaluate
from shared.fallback import LastGood, ReportIdentity
from shared.model_files import ModelFile
from shared.receive import Reception, Refinement, decode_channel, reconstruct
from shared.refinement import Refiner, RefinerFile, make_refiner
from shared.refinement.held import choose_refiner
from shared.rng import Randomness
from shared.types import Payload, Received, ReceivedKind


@dataclass(frozen=True, slots=True)
class Worker:
    """The decoders of a base station on its device.

    Attributes:
        decoders: Model digest -> decoder; models that are read again come and go.
        codes: Label -> channel code, those that were asked for.
        last_good: What it remembers of the UEs of sessions that ask for their last good CSI.
        refiners: Name -> refiner.
        device: Where they are.
    """

    decoders: dict[str, Decoder]
    codes: dict[str, ChannelCode] = field(default_factory=dict)
    last_good: LastGood = field(default_factory=LastGood)
    refiners: dict[str, Refiner] = field(default_factory=dict)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def hold(self, models: Sequence[ModelFile]) -> None:
        """Decode for further models besides, all of them or none; those held already stay as they are.

        Raises:
            DataFileError: If one cannot be used.
        """
        new = [model for model in models if model.card.sha256 not in self.decoders]
        self.decoders.update({model.card.sha256: make_warm_decoder(model, self.device) for model in new})

    def release(self, digests: Set[str]) -> None:
        """Decode for some models no more."""
        for digest in digests:
            self.decoders.pop(digest, None)

    def decode(self, batch: Sequence[Work], *, refine: bool = True) -> list[Decoded]:
        """Decode and score entries of one key: both halves below.

        Raises:
            CodecError: If the batch cannot belong to its codec.
        """
        return self.reconstruct(batch, self.decode_channel(batch), refine)

    def decode_channel(self, batch: Sequence[Work]) -> ChannelDecoded:
        """Decode the channel code of entries of one key; touches neither device nor decoders.

        Two threads may be in here at once, but not with one code: it need not stand that.
        """
        start_s = time.monotonic()
        key = batch[0].key
        if key.code not in self.codes:
            self.codes[key.code] = make_channel_code(key.code)
        no_eff = [entry.received.no_eff for entry in batch if entry.received.no_eff is not None]
        received = Received(
            key.kind,
            stack_rows([entry.received.values for entry in batch]),
            np.concatenate([entry.received.length for entry in batch]),
            np.concatenate(no_eff) if no_eff else None,
        )
        num_bits = np.concatenate([entry.num_bits for entry in batch])
        of_symbols = key.kind is ReceivedKind.SYMBOLS
        reports = None if of_symbols else decode_channel(received, self.codes[key.code], num_bits)
        return ChannelDecoded(received, reports, time.monotonic() - start_s)

    def reconstruct(self, batch: Sequence[Work], decided: ChannelDecoded, refine: bool) -> list[Decoded]:
        """Make channels of entries of one key whose channel code is decoded, and score them; on the device.

        Args:
            batch: The entries.
            decided: What `decode_channel` made of them.
            refine: Whether there is time to refine what their sessions want refined.

        Raises:
            CodecError: If the batch cannot belong to its codec.
        """
        start_s = time.monotonic()
        key = batch[0].key
        decoder = self.decoders[key.model_sha256]
        snr_db = np.concatenate([entry.snr_db for entry in batch])
        context, refinement = DecodeContext(key.rate, snr_db), self._refinement(batch, decoder) if refine else None
        reception = reconstruct(decided.received, decided.reports, decoder, context, refinement)
        reports: list[ReportIdentity | None] = []
        for entry in batch:
            reports += entry.reports or [None] * entry.num_reports
        reception, good = self.last_good.held(reception, reports)
        h_hat = reception.h_hat.cpu().numpy()
        decode_ms = 1000 * (decided.seconds + time.monotonic() - start_s)
        ends = np.cumsum([entry.num_reports for entry in batch]).tolist()
        rows = [slice(end - entry.num_reports, end) for entry, end in zip(batch, ends, strict=True)]
        scores = self._scores(batch, rows, reception, decoder)
        self.last_good.remember(good)  # last: a batch that fails comes again
        return [
            Decoded(
                h_hat=h_hat[row],
                fallback=reception.fallback[row],
                held=reception.held[row],
                erased=reception.erased[row],
                checked=reception.checked[row],
                crc_ok=reception.crc_ok[row],
                num_steps=reception.num_steps[row],
                scores=score,
                queue_ms=max(0.0, 1000 * (start_s - decided.seconds - entry.arrival_s)),
                decode_ms=decode_ms,
                batch_size=len(snr_db),
            )
            for entry, row, score in zip(batch, rows, scores, strict=True)
        ]

    def _refinement(self, batch: Sequence[Work], decoder: Decoder) -> Refinement | None:
        """Return how a batch is refined: by the refiner that its label means behind its model."""
        label, cards = batch[0].key.refinement, [refiner.card for refiner in self.refiners.values()]
        card = choose_refiner(label, cards, decoder.card.name, decoder.card.sha256)
        streams = [entry.randomness for entry in batch if entry.randomness is not None]
        return None if card is None else Refinement(self.refiners[card.name], label, streams)

    @staticmethod
    def _scores(
        batch: Sequence[Work], rows: list[slice], reception: Reception, decoder: Decoder
    ) -> list[Scores | None]:
        """Score the entries that carry truth, in one go."""
        known = [i for i, entry in enumerate(batch) if entry.h is not None]
        if not known:
            return [None] * len(batch)
        everything = len(known) == len(batch)
        chosen = slice(None) if everything else np.concatenate([np.arange(rows[i].start, rows[i].stop) for i in known])
        h_hat = reception.h_hat[chosen]
        decided = Payload(reception.payload.bits[chosen], reception.payload.length[chosen])
        truths = [(entry.h, entry.sent) for entry in batch if entry.h is not None and entry.sent is not None]
        h = torch.cat([truth for truth, _ in truths])
        sent = Payload(stack_rows([s.bits for _, s in truths]), np.concatenate([s.length for _, s in truths]))
        crop_loss = np.concatenate(
            [np.full(batch[i].num_reports, np.nan) if (loss := batch[i].crop_loss) is None else loss for i in known]
        )
        card, scoring = decoder.card, batch[0].key.scoring
        scores = evaluate(h_hat, decided, h, sent, card.domain, scoring, crop_loss, card.output)
        ends = np.cumsum([batch[i].num_reports for i in known])
        by_entry = {
            i: scores.part(int(end) - batch[i].num_reports, int(end)) for i, end in zip(known, ends, strict=True)
        }
        return [by_entry.get(i) for i in range(len(batch))]


def make_worker(models: Sequence[ModelFile], device: torch.device, refiners: Sequence[RefinerFile] = ()) -> Worker:
    """Build decoders and refiners and run each once, so that the first report does not pay for it.

    Raises:
        DataFileError: If a model or refiner cannot be built or does not work, or a mean channel is not finite.
    """
    decoders = {model.card.sha256: make_warm_decoder(model, device) for model in models}
    built = {file.card.name: make_refiner(file, device) for file in refiners}
    for refiner in built.values():
        _refine_zeros(refiner, device)
    return Worker(decoders, refiners=built, device=device)


def make_warm_decoder(model: ModelFile, device: torch.device) -> Decoder:
    """Build a decoder and run it once.

    Raises:
        DataFileError: If it cannot be built or does not work, or its mean channel is not finite.
    """
    try:
        decoder = make_decoder(model, device)
        _decode_zeros(decoder, model.card.min_rate)
    except (KeyError, RuntimeError, IndexError) as error:
        raise DataFileError(f"Model {model.card.name} cannot be used as codec {model.card.codec}: {error}") from error
    if not torch.isfinite(decoder.mean_csi).all():  # what is not finite falls back to it
        raise DataFileError(f"`mean_csi` of model {model.card.name} must be finite; it is not.")
    return decoder


def _refine_zeros(refiner: Refiner, device: torch.device) -> None:
    """Refine one report of zeros, in one step."""
    zeros, none = torch.zeros(1, *refiner.card.shape.dims, dtype=torch.complex64, device=device), np.zeros(1, np.int64)
    refiner.refine(zeros, np.zeros(1, dtype=np.float32), 1, Randomness(0, none, none))


def _decode_zeros(decoder: Decoder, rate: int) -> None:
    """Decode one report of zeros."""
    context = DecodeContext(rate, np.zeros(1, dtype=np.float32))
    if isinstance(decoder, SymbolDecoder):
        zeros, no_eff = np.zeros((1, rate), dtype=np.complex64), np.ones((1, rate), dtype=np.float32)
        decoder.decode_symbols(Received(ReceivedKind.SYMBOLS, zeros, np.array([rate]), no_eff), context)
    else:
        decoder.decode(Payload.of_equal_length(np.zeros((1, rate), dtype=np.uint8)), context)


def make_device(name: str, threads: int) -> torch.device:
    """Return the torch device, with explicit threads on the CPU.

    Raises:
        InvalidArgumentError: If CUDA is wanted and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise InvalidArgumentError("`device` must be one this machine has; got cuda, and torch finds no CUDA device.")
    torch.set_num_threads(threads)
    return torch.device(name)
