"""The reports of a frame as entries for the device, as rows for the store, and as an acknowledgement.

Frame --cut--> parts: one rate, at most max_batch reports --(device)--> report_rows, kept_rows --> acknowledge
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import itemgetter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bs_server.batching import BatchKey, Decoded, Entry
from bs_server.sessions import Identity, Session
from bs_server.store import DownlinkRow, ReconstructionRow, ReportRow
from shared.coding.bits import by_value
from shared.errors import InvalidArgumentError
from shared.fallback import ReportIdentity
from shared.frame import Frame, FrameAck
from shared.links import Link, values_on_the_air
from shared.metrics.downlink import Downlink
from shared.model_files import CodecCard
from shared.rng import Randomness
from shared.scoring import Scoring
from shared.types import ReceivedKind
from shared.wire.payload import unpack_received, unpack_sent

POWER_TOLERANCE = 1e-2  # of a channel's mean power: its UE normalised it in single precision


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a frame, as one entry.

    Attributes:
        rows: [n] int64, which reports of the frame.
        entry: What goes to the device.
    """

    rows: NDArray[np.int64]
    entry: Entry


def require_fit(frame: Frame, session: Session, max_reports: int) -> NDArray[np.int64]:
    """Refuse a frame that does not fit its session.

    Returns:
        [num_reports] values of each report on the air, were it not erased.

    Raises:
        InvalidArgumentError: Naming what does not fit.
    """
    card = session.card
    if frame.num_reports > max_reports:
        raise InvalidArgumentError(f"`ue_id` must name at most {max_reports} reports; got {frame.num_reports}.")
    if frame.kind is not session.link.kind:
        found = frame.kind.name
        raise InvalidArgumentError(f"`kind` over {session.link.label} must be {session.link.kind.name}; got {found}.")
    for rate, rows in by_value(frame.rate):
        card.require_rate(rate)
        _require_num_bits(frame.num_bits[rows], rate, card)
    num_values = values_on_the_air(session.link, frame.rate, frame.num_bits)
    _require_length(frame, session.link, num_values)
    _require_groups(frame, session.scoring)
    truth = frame.truth
    if truth is not None and truth.dataset_index is not None:
        size = len(session.dataset.h) if session.dataset else 0
        if truth.dataset_index.min() < 0 or truth.dataset_index.max() >= size:
            raise InvalidArgumentError(f"`truth.dataset_index` must be below {size}; got {truth.dataset_index.max()}.")
    if truth is not None and truth.h is not None:
        if truth.h.shape[1] != card.shape.num_complex:
            found = truth.h.shape[1]
            raise InvalidArgumentError(f"`truth.h` must hold {card.shape.num_complex} numbers a report; got {found}.")
        power = np.square(np.abs(truth.h.astype(np.complex128))).mean(axis=1)
        if not (np.abs(power - 1) < POWER_TOLERANCE).all():
            raise InvalidArgumentError("`truth.h` must be finite and of unit mean power in every report; it is not.")
    return num_values


def _require_groups(frame: Frame, scoring: Scoring) -> None:
    """Refuse reports that the downlink cannot serve together."""
    scoring.require_groups(frame.num_reports, "ue_id")
    index = None if frame.truth is None else frame.truth.dataset_index
    if scoring.downlink_num_ue == 1:
        return
    for name, column in (("rate", frame.rate), ("snr_db", frame.snr_db)):
        groups = column.reshape(-1, scoring.downlink_num_ue)
        if (groups != groups[:, :1]).any():
            raise InvalidArgumentError(f"`{name}` must be one in each group of `downlink_num_ue` reports; it is not.")
    if index is not None and (np.diff(np.sort(index.reshape(-1, scoring.downlink_num_ue), axis=1)) == 0).any():
        raise InvalidArgumentError("`truth.dataset_index` must differ within a group of `downlink_num_ue` reports.")


def _require_num_bits(num_bits: NDArray[np.int64], rate: int, card: CodecCard) -> None:
    """Refuse reports of one rate that have more or fewer information bits than their codec gives them."""
    least, most = card.num_bits_range(rate)
    wrong = num_bits[(num_bits < least) | (num_bits > most)]
    if len(wrong):
        wanted = f"in [{least}, {most}]" if least < most else f"{least}"
        raise InvalidArgumentError(
            f"`num_bits` of a report of rate {rate} of codec {card.name} must be {wanted}; got {wrong[0]}."
        )


def _require_length(frame: Frame, link: Link, wanted: NDArray[np.int64]) -> None:
    """Refuse reports that are neither as long as the link's code makes them nor erased."""
    wrong = np.flatnonzero((frame.length != wanted) & ((frame.length != 0) | (link.erasure == 0)))
    if len(wrong):
        first = wrong[0]
        of_symbols, erased = link.kind is ReceivedKind.SYMBOLS, " (0: erased)" if link.erasure else ""
        what = f"{frame.rate[first]} symbols" if of_symbols else f"{frame.num_bits[first]} bits"
        wanted_and_found = f"must be {wanted[first]}{erased}; got {frame.length[first]}"
        raise InvalidArgumentError(f"`length` of a report of {what} over {link.label} {wanted_and_found}.")


def cut(
    frame: Frame,
    session: Session,
    rows: NDArray[np.int64],
    num_values: NDArray[np.int64],
    max_batch: int,
    arrival_s: float,
    deadline_s: float,
) -> list[Part]:
    """Cut some reports of a frame into entries of one rate and at most ``max_batch`` reports."""
    loop = asyncio.get_running_loop()
    code = session.link.code
    num_ue = session.scoring.downlink_num_ue
    size = max(num_ue, max_batch - max_batch % num_ue)  # whole groups
    parts = []
    for rate, of_rows in by_value(frame.rate[rows]):
        of_rate = rows[of_rows]
        for start in range(0, len(of_rate), size):
            chosen = of_rate[start : start + size]
            entry = Entry(
                key=BatchKey(session.card.sha256, rate, frame.kind, code.label, session.scoring, session.refinement),
                received=unpack_received(frame, chosen, int(num_values[chosen].max())),
                num_bits=frame.num_bits[chosen],
                snr_db=frame.snr_db[chosen],
                h=_truth(frame, session, chosen),
                sent=unpack_sent(frame, chosen),
                crop_loss=_crop_loss(frame, session, chosen),
                arrival_s=arrival_s,
                deadline_s=deadline_s,
                result=loop.create_future(),
                reports=_identities(frame, chosen) if session.fallback == "last" else None,
                randomness=_randomness(frame, session, chosen),
                session_id=frame.session_id,
            )
            parts.append(Part(chosen, entry))
    return parts


def _identities(frame: Frame, rows: NDArray[np.int64]) -> list[ReportIdentity]:
    """Return session, UE and sequence of some reports."""
    ues, sequences = frame.ue_id[rows].tolist(), frame.sequence[rows].tolist()
    return [(frame.session_id, ue_id, sequence) for ue_id, sequence in zip(ues, sequences, strict=True)]


def _randomness(frame: Frame, session: Session, rows: NDArray[np.int64]) -> Randomness | None:
    """Return what a refiner draws for some reports from, or None where it draws nothing."""
    if session.refinement.policy == "never":
        return None
    return Randomness(session.run, frame.ue_id[rows], frame.sequence[rows])


def _truth(frame: Frame, session: Session, rows: NDArray[np.int64]) -> torch.Tensor | None:
    """Return the true channels of some reports, or None without truth."""
    if frame.truth is None:
        return None
    if frame.truth.dataset_index is not None and session.dataset is not None:
        return session.dataset.h[torch.from_numpy(frame.truth.dataset_index[rows])]
    if frame.truth.h is None:
        return None
    return torch.from_numpy(frame.truth.h[rows].astype(np.complex64)).reshape(-1, *session.card.shape.dims)


def _crop_loss(frame: Frame, session: Session, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Return what the crop left out of the true channels of some reports, or None where it is not known."""
    truth = frame.truth
    if truth is not None and truth.dataset_index is not None and session.dataset is not None:
        loss = session.dataset.crop_loss
        return None if loss is None else loss[torch.from_numpy(truth.dataset_index[rows])].numpy()
    return None if truth is None or truth.crop_loss is None else truth.crop_loss[rows]


def report_rows(
    frame: Frame,
    session: Session,
    num_values: NDArray[np.int64],
    parts: Sequence[Part],
    decoded: Sequence[Decoded],
    received_at: float,
) -> list[ReportRow]:
    """Return the rows that the store keeps of the reports."""
    rows: list[ReportRow] = []
    for part, result in zip(parts, decoded, strict=True):
        columns = _columns(frame, session, part.rows, num_values[part.rows], result)
        columns["received_at"] = [received_at] * len(part.rows)
        defaults = {name: repeat(default, len(part.rows)) for name, default in ReportRow._field_defaults.items()}
        in_order = itemgetter(*ReportRow._fields)(defaults | columns)
        rows += map(ReportRow._make, zip(*in_order, strict=True))
    return rows


def _columns(
    frame: Frame, session: Session, rows: NDArray[np.int64], num_values: NDArray[np.int64], result: Decoded
) -> dict[str, list[Any]]:
    """Return the fields of the rows of one entry, column by column, which costs a tenth of report by report.

    Args:
        frame: The frame.
        session: Its.
        rows: [n] which of its reports.
        num_values: [n] values of each on the air.
        result: What was made of them.
    """
    scores, of_bits, n = result.scores, frame.kind is not ReceivedKind.SYMBOLS, len(rows)
    uses = {number: session.link.num_channel_uses(number) for number in set(num_values.tolist())}
    columns: dict[str, list[Any]] = {
        "session_id": [frame.session_id] * n,
        "ue_id": frame.ue_id[rows].tolist(),
        "sequence": frame.sequence[rows].tolist(),
        "rate": frame.rate[rows].tolist(),
        "num_bits": frame.num_bits[rows].tolist(),
        "snr_db": [round(snr_db, 4) for snr_db in frame.snr_db[rows].tolist()],
        "fallback": result.fallback.tolist(),
        "queue_ms": [result.queue_ms] * n,
        "decode_ms": [result.decode_ms] * n,
        "batch_size": [result.batch_size] * n,
        "coded_bits": num_values.tolist() if of_bits else [0] * n,
        "channel_uses": [uses[number] for number in num_values.tolist()],
        "erased": result.erased.tolist(),
        "crc_ok": _or_none(result.crc_ok, result.checked),
        "held": result.held.tolist(),
        "num_steps": result.num_steps.tolist(),
    }
    if scores is None:
        return columns | dict.fromkeys(("nmse", "sgcs", "bit_errors"), [None] * n)
    columns |= {
        "nmse": _or_none(scores.nmse, ~np.isnan(scores.nmse)),
        "sgcs": scores.sgcs.tolist(),
        "nmse_full": _or_none(scores.nmse_full, ~np.isnan(scores.nmse_full)),
        "bit_errors": _or_none(scores.bit_errors, ~result.erased) if of_bits else [None] * n,
    }
    if scores.rho is not None:
        columns["rho"] = scores.rho.tolist()
    if scores.downlink is not None:
        columns["downlink"] = _downlink_rows(session.scoring.downlink_snr_db, scores.downlink)
    if scores.sgcs_subbands is not None:
        columns["sgcs_subbands"] = [tuple(map(tuple, of_report)) for of_report in scores.sgcs_subbands.tolist()]
    return columns


def _or_none(column: NDArray[Any], there: NDArray[np.bool_]) -> list[Any]:
    """Return the values of a column, None where they are not ``there``."""
    return [value if known else None for value, known in zip(column.tolist(), there.tolist(), strict=True)]


def _downlink_rows(snr_db: Sequence[float], downlink: Downlink) -> list[tuple[DownlinkRow, ...]]:
    """Return what each report is worth at each downlink SNR of its session."""
    columns: list[Iterable[Sequence[float | None]]] = [repeat(snr_db, len(downlink.bler))]
    for name in DownlinkRow._fields[1:]:
        column: torch.Tensor | None = getattr(downlink, name)
        columns.append(repeat([None] * len(snr_db), len(downlink.bler)) if column is None else column.tolist())
    return [tuple(map(DownlinkRow._make, zip(*of_report, strict=True))) for of_report in zip(*columns, strict=True)]


def kept_rows(
    frame: Frame, parts: Sequence[Part], decoded: Sequence[Decoded], keep_every: int
) -> list[ReconstructionRow]:
    """Return the reconstructions that are kept: those of every ``keep_every``-th report of a UE; 0 keeps none.

    Without truth none is: a load test would push out all that can be looked at beside it.
    """
    if keep_every == 0 or frame.truth is None:
        return []
    return [
        ReconstructionRow(
            frame.session_id,
            int(frame.ue_id[row]),
            int(frame.sequence[row]),
            result.h_hat[i],
            None if part.entry.h is None else part.entry.h[i].numpy(),
        )
        for part, result in zip(parts, decoded, strict=True)
        for i, row in enumerate(part.rows)
        if frame.sequence[row] % keep_every == 0
    ]


def acknowledge(
    frame: Frame, identities: list[Identity], known: NDArray[np.bool_], reports: Sequence[ReportRow], total_ms: float
) -> FrameAck:
    """Acknowledge the reports of a frame from their rows, in the order of the frame.

    Args:
        frame: The frame.
        identities: (ue_id, sequence) of each report.
        known: [num_reports] bool, stored before.
        reports: The row of each report, in any order.
        total_ms: Arrival to commit.
    """
    by_identity = {(report.ue_id, report.sequence): report for report in reports}
    rows = [by_identity[identity] for identity in identities]
    column = dict(zip(ReportRow._fields, zip(*rows, strict=True), strict=True))
    scored, of_bits = None not in column["sgcs"], frame.kind is not ReceivedKind.SYMBOLS
    nmse = [np.nan if one is None else one for one in column["nmse"]] if scored else []
    bit_errors = [count or 0 for count in column["bit_errors"]] if scored and of_bits else []
    return FrameAck(
        session_id=frame.session_id,
        frame_id=frame.frame_id,
        code=0,
        message="",
        retry_delay_ms=0,
        duplicate=known,
        fallback=np.array(column["fallback"], dtype=np.bool_),
        erased=np.array(column["erased"], dtype=np.bool_),
        crc_failed=np.array([ok is False for ok in column["crc_ok"]], dtype=np.bool_),
        nmse=np.array(nmse, dtype=np.float64),
        sgcs=np.array(column["sgcs"] if scored else (), dtype=np.float64),
        bit_errors=np.array(bit_errors, dtype=np.int64),
        queue_ms=np.array(column["queue_ms"], dtype=np.float32),
        decode_ms=np.array(column["decode_ms"], dtype=np.float32),
        total_ms=total_ms,
        batch_size=np.array(column["batch_size"], dtype=np.int64),
        num_steps=np.array(column["num_steps"], dtype=np.int64),
    )
