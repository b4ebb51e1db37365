"""Simulate the feedback link in one process: what `csi-ue run` and `csi-bs serve` measure, without sockets and store.

channels --> Transmitter.encode --> payload --> .send --> Received --> receive --> h_hat --> evaluate --> Simulated
             estimation_encoding_s              link_s                 base_station_s

The random numbers are those of `csi-ue run` with the same seed and UE: report ``i`` of SNR ``p`` has the sequence
number ``p * num_reports + i`` and takes channel ``first_channel + i``, starting over at the data set's end.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from shared.channels import ChannelSet, load_channels
from shared.codecs import DecodeContext, Decoder, load_codec, make_decoder
from shared.errors import InvalidArgumentError
from shared.estimation import Estimator, make_estimator
from shared.evaluation import Scores, evaluate
from shared.experiments.summary_row import PointKey, Reports, join_reports, summary_row
from shared.fallback import LastGood, require_fallback
from shared.frame import SNR_DB_RANGE
from shared.model_files import ModelFile
from shared.receive import Reception, Refinement, receive
from shared.refinement import Refiner, RefinerFile, load_refiner, make_refiner
from shared.refinement.held import choose_refiner, load_refiners
from shared.refinement.label import NEVER, RefinementLabel, parse_refinement
from shared.rng import Randomness
from shared.scoring import DEFAULT_SCORING, Scoring
from shared.summary import Cell
from shared.transmit import Transmitter, make_transmitter
from shared.types import Fallback, ReceivedKind

# seed, UE and sequence number of each report -> their randomness
MakeRandomness = Callable[[int, NDArray[np.integer], NDArray[np.integer]], Randomness]

CHUNK = 256  # reports simulated at once: what a point needs of memory, whatever its size


@dataclass(frozen=True, slots=True)
class Seconds:
    """Where the time of a point went.

    Attributes:
        estimation_encoding_s: At the UE, up to the information bits.
        link_s: Channel coding and link, emulated in the UE's process.
        base_station_s: Channel decoding, decoding, scoring.
    """

    estimation_encoding_s: float
    link_s: float
    base_station_s: float


@dataclass(frozen=True, slots=True)
class Simulated:
    """One point: all reports at one SNR.

    Attributes:
        key: Codec, rate, SNR, link, estimator.
        reports: Their scores, one entry a report.
        seconds: Where the time went.
    """

    key: PointKey
    reports: Reports
    seconds: Seconds

    def row(self) -> dict[str, Cell]:
        """Return the row of ``GET /v1/metrics/summary.csv``, without queue and batch: see `summary_row`."""
        return summary_row(self.key, self.reports)


@dataclass(frozen=True, slots=True)
class Simulator:
    """Both sides of the link, for any number of points.

    Attributes:
        transmitter: Estimator, codec, channel code and link.
        decoder: Base-station side of the codec.
        channels: Where h comes from.
        scoring: What is scored besides what always is.
        seed: Seed of the run.
        ue_id: The UE.
        first_channel: Channel of the first report.
        last_good: What is remembered from one report to the next; None where a lost one takes the mean channel.
        refinement: Which reports are refined.
        refiner: By what; None where nothing is.
        make_randomness: `Randomness`, or `KeptDraws.randomness`, whose numbers are the same.
    """

    transmitter: Transmitter
    decoder: Decoder
    channels: ChannelSet
    scoring: Scoring = DEFAULT_SCORING
    seed: int = 1
    ue_id: int = 0
    first_channel: int = 0
    last_good: LastGood | None = None
    refinement: RefinementLabel = NEVER
    refiner: Refiner | None = None
    make_randomness: MakeRandomness = Randomness

    def point(self, snr_db: float, num_reports: int, first_sequence: int = 0) -> Simulated:
        """Simulate the reports of one SNR.

        Args:
            snr_db: Es/N0 of the feedback link.
            num_reports: How many, from 1.
            first_sequence: Sequence number of the first.

        Raises:
            InvalidArgumentError: If SNR or number are out of range.
        """
        low, high = SNR_DB_RANGE
        if not low <= snr_db <= high:
            raise InvalidArgumentError(f"`snr_db` must be in [{low:g}, {high:g}]; got {snr_db:g}.")
        if num_reports < 1:
            raise InvalidArgumentError(f"`num_reports` must be at least 1; got {num_reports}.")
        self.scoring.require_groups(num_reports, "num_reports")
        if self.scoring.downlink_num_ue > len(self.channels.h):
            wanted = f"at most {len(self.channels.h)}, the channels of {self.channels.name}"
            raise InvalidArgumentError(f"`downlink_num_ue` must be {wanted}; got {self.scoring.downlink_num_ue}.")
        size = CHUNK - CHUNK % self.scoring.downlink_num_ue  # whole groups
        chunks = [
            self._chunk(snr_db, np.arange(start, min(start + size, num_reports)), first_sequence)
            for start in range(0, num_reports, size)
        ]
        transmitter = self.transmitter
        key = PointKey(
            codec=transmitter.card.name,
            rate=transmitter.rate,
            snr_db=round(float(np.float32(snr_db)), 4),
            link=transmitter.link.label,
            estimator=transmitter.estimator.name,
            cnr_db=transmitter.cnr_db,
            refinement=str(self.refinement),
            of_symbols=transmitter.link.kind is ReceivedKind.SYMBOLS,
            scoring=self.scoring,
        )
        received = [(scores, reception) for scores, reception, _ in chunks]
        seconds = np.sum([times for _, _, times in chunks], axis=0).tolist()
        return Simulated(key, join_reports(received, transmitter.link, transmitter.rate), Seconds(*seconds))

    def _chunk(
        self, snr_db: float, report: NDArray[np.int64], first_sequence: int
    ) -> tuple[Scores, Reception, NDArray[np.float64]]:
        """Simulate reports ``report`` of a point; the third is the time of each of the three parts."""
        n = len(report)
        index = torch.from_numpy((self.first_channel + report) % len(self.channels.h))
        h, loss = self.channels.h[index], self.channels.crop_loss
        snr = np.full(n, snr_db, dtype=np.float32)
        ue_id = np.full(n, self.ue_id, dtype=np.int64)
        randomness = self.make_randomness(self.seed, ue_id, report + first_sequence)
        started_s = time.perf_counter()
        payload = self.transmitter.encode(h, snr, randomness)
        encoded_s = time.perf_counter()
        sent = self.transmitter.send(payload, snr, randomness)
        arrived_s = time.perf_counter()
        context = DecodeContext(self.transmitter.rate, snr)
        refinement = None if self.refiner is None else Refinement(self.refiner, self.refinement, [randomness])
        code, num_bits = self.transmitter.link.code, sent.payload.length
        reception = receive(sent.received, code, num_bits, self.decoder, context, refinement)
        if self.last_good is not None:
            sequence = (report + first_sequence).tolist()
            reception = self.last_good.hold(reception, [("", self.ue_id, number) for number in sequence])
        card, crop_loss = self.transmitter.card, None if loss is None else loss[index].numpy()
        h_hat, decided = reception.h_hat, reception.payload
        scores = evaluate(h_hat, decided, h, sent.payload, card.domain, self.scoring, crop_loss, card.output)
        return scores, reception, np.diff([started_s, encoded_s, arrived_s, time.perf_counter()])


def make_simulator(
    channels: ChannelSet,
    model: ModelFile,
    link: str,
    rate: int | None = None,
    estimator: Estimator | None = None,
    cnr_db: float | None = None,
    scoring: Scoring = DEFAULT_SCORING,
    seed: int = 1,
    ue_id: int = 0,
    first_channel: int = 0,
    fallback: Fallback = "mean",
    refinement: str = "never",
    refiners: Sequence[RefinerFile] = (),
    make_randomness: MakeRandomness = Randomness,
    encode_steps: int | None = None,
) -> Simulator:
    """Put both sides together; the arguments are those of `simulate`, loaded, and that of `Simulator`.

    Raises:
        InvalidArgumentError: If they do not go together.
        ModelMismatchError: If the refinement is by none of the refiners.
    """
    scoring.require_fit(channels.shape)
    transmitter = make_transmitter(model, channels.shape, link, rate, estimator, cnr_db, encode_steps)
    decoder = make_decoder(model, torch.device("cpu"))
    require_fallback(fallback, channels)
    last_good = LastGood() if fallback == "last" else None
    label, by_name = parse_refinement(refinement), {refiner.card.name: refiner for refiner in refiners}
    cards, link_label = [refiner.card for refiner in refiners], transmitter.link.label
    card = choose_refiner(label, cards, model.card.name, model.card.sha256, link_label)
    refiner = None if card is None else make_refiner(by_name[card.name], torch.device("cpu"))
    return Simulator(
        transmitter,
        decoder,
        channels,
        scoring,
        seed,
        ue_id,
        first_channel,
        last_good,
        label,
        refiner,
        make_randomness,
    )


def simulate(
    channels: ChannelSet | str,
    codec: ModelFile | str,
    link: str,
    snr_db: float | Sequence[float],
    rate: int | None = None,
    num_reports: int = 500,
    estimator: str = "perfect",
    cnr_db: float | None = None,
    scoring: Scoring = DEFAULT_SCORING,
    seed: int = 1,
    ue_id: int = 0,
    first_channel: int = 0,
    fallback: Fallback = "mean",
    refinement: str = "never",
    refiner: RefinerFile | str | None = None,
    encode_steps: int | None = None,
) -> list[Simulated]:
    """Simulate what ``csi-ue run`` with the same options sends, and what the base station makes of it.

    Args:
        channels: Channels, or the name of a shipped data set or file.
        codec: A model, or what `shared.codecs.load_codec` takes: a name in the zoo, a file, a codec of the user's own.
        link: Label of the link.
        snr_db: Es/N0 of the feedback link: one, or several, one after the other.
        rate: Information bits of a report, or its symbols; None for 128, or the only rate of a codec.
        num_reports: Reports at each SNR.
        estimator: Of the channel at the UE; ``lmmse`` knows the statistics of ``channels``.
        cnr_db: SNR of its pilots; None for ``perfect``.
        scoring: What is scored besides NMSE, SGCS, rho and wrong bits.
        seed: Seed of the run.
        ue_id: The UE.
        first_channel: Channel of the data set that the first report takes.
        fallback: What stands for a report that cannot be used: ``mean``, or ``last`` of time-correlated data.
        refinement: Label of how the base station refines what it decodes.
        refiner: By which, in memory, or a name or file; None for the one that ships for the codec.
        encode_steps: Gradient steps of the encoder of `csi-inr`, `inric` or `coin`; None for the model's own.

    Returns:
        One result an SNR.

    Raises:
        CsiError: If a file cannot be used, or codec, link, rate, channels, estimator and refiner do not go
            together.

    Example:
        >>> points = simulate("indoor-open-office", "klt", "digital:soft:qpsk", [0, 10], rate=64, num_reports=40)
        >>> [(point.row()["snr_db"], point.row()["channel_uses_per_report"]) for point in points]
        [(0.0, 32.0), (10.0, 32.0)]
        >>> [f"{point.reports.scores.nmse.mean():.2f}" for point in points]
        ['1.46', '0.58']
    """
    channels = load_channels(channels) if isinstance(channels, str) else channels
    model = load_codec(codec) if isinstance(codec, str) else codec
    if refiner is not None:
        refiners = [load_refiner(refiner) if isinstance(refiner, str) else refiner]
    else:  # without a refinement none is read
        refiners = load_refiners((), {model.card.sha256: model.card.shape}) if refinement != str(NEVER) else []
    simulator = make_simulator(
        channels,
        model,
        link,
        rate,
        make_estimator(estimator, channels.shape, channels.h),
        cnr_db,
        scoring,
        seed,
        ue_id,
        first_channel,
        fallback,
        refinement,
        refiners,
        encode_steps=encode_steps,
    )
    points = np.atleast_1d(np.asarray(snr_db, dtype=np.float64)).tolist()
    return [simulator.point(value, num_reports, index * num_reports) for index, value in enumerate(points)]
