"""Our dataclasses to protobuf messages and back, pair by pair; the only importer of `protos` in `shared`."""

from collections.abc import Sequence, Sized
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from protos.csi.v1 import feedback_pb2, frame_pb2
from shared.errors import InvalidArgumentError
from shared.frame import Frame, FrameAck, SessionGrant, SessionRequest, SimTruth, fixed_num_bits
from shared.scoring import MAX_DOWNLINK_SNRS, Scoring
from shared.types import CsiShape, Domain, Fallback, ReceivedKind

MAX_SEQUENCE = MAX_RUN = 2**63 - 1  # the store keeps signed 64-bit integers
MAX_REPORTS = 65536  # of a frame, whatever its receiver takes: a column is measured before it is converted


def session_request_to_proto(request: SessionRequest) -> feedback_pb2.OpenSessionRequest:
    """Convert a session request."""
    num_rx_ant, num_tx_ant, num_subcarriers = request.shape.dims
    return feedback_pb2.OpenSessionRequest(
        protocol_version=request.protocol_version,
        session_id=request.session_id,
        codec=request.codec,
        model_sha256=request.model_sha256,
        domain=request.shape.domain,
        num_rx_ant=num_rx_ant,
        num_tx_ant=num_tx_ant,
        num_subcarriers=num_subcarriers,
        link=request.link,
        dataset_sha256=request.dataset_sha256,
        estimator=request.estimator,
        cnr_db=request.cnr_db,
        downlink_snr_db=request.scoring.downlink_snr_db,
        downlink_num_ue=request.scoring.downlink_num_ue if request.scoring.downlink_num_ue > 1 else 0,
        downlink_mcs=request.scoring.downlink_mcs,
        num_subbands=request.scoring.num_subbands,
        fallback="" if request.fallback == "mean" else request.fallback,
        refinement="" if request.refinement == "never" else request.refinement,
        run=request.run,
        variable_length=request.variable_length,
    )


def session_request_from_proto(message: feedback_pb2.OpenSessionRequest) -> SessionRequest:
    """Convert back.

    Raises:
        InvalidArgumentError: If domain, scoring, fallback or run are none of ours.
    """
    domains: dict[str, Domain] = {domain: domain for domain in get_args(Domain)}
    if message.domain not in domains:
        raise InvalidArgumentError(f"`domain` must be {' or '.join(domains)}; got {message.domain[:64]!r}.")
    fallbacks: dict[str, Fallback] = {fallback: fallback for fallback in get_args(Fallback)}
    fallbacks[""] = "mean"  # UEs before 0.2.0 name none
    if message.fallback not in fallbacks:
        wanted = " or ".join(get_args(Fallback))
        raise InvalidArgumentError(f"`fallback` must be {wanted}; got {message.fallback[:64]!r}.")
    if message.run > MAX_RUN:
        raise InvalidArgumentError(f"`run` must be at most {MAX_RUN}; got {message.run}.")
    return SessionRequest(
        protocol_version=message.protocol_version,
        session_id=message.session_id,
        codec=message.codec,
        model_sha256=message.model_sha256,
        shape=CsiShape(domains[message.domain], message.num_rx_ant, message.num_tx_ant, message.num_subcarriers),
        link=message.link,
        dataset_sha256=message.dataset_sha256,
        estimator=message.estimator or "perfect",  # UEs before 0.2.0 name none
        cnr_db=message.cnr_db if message.HasField("cnr_db") else None,
        scoring=Scoring(
            downlink_snr_db=tuple(message.downlink_snr_db[: MAX_DOWNLINK_SNRS + 1]),  # enough to refuse too many
            downlink_num_ue=message.downlink_num_ue or 1,
            downlink_mcs=message.downlink_mcs if message.HasField("downlink_mcs") else None,
            num_subbands=message.num_subbands,
        ),
        fallback=fallbacks[message.fallback],
        refinement=message.refinement or "never",  # UEs before 0.2.0 name none
        run=message.run,
        variable_length=message.variable_length,
    )


def session_grant_to_proto(grant: SessionGrant) -> feedback_pb2.OpenSessionResponse:
    """Convert the answer to a session request."""
    return feedback_pb2.OpenSessionResponse(
        session_id=grant.session_id,
        dataset_held=grant.dataset_held,
        max_reports_per_frame=grant.max_reports_per_frame,
        server_version=grant.server_version,
    )


def session_grant_from_proto(message: feedback_pb2.OpenSessionResponse) -> SessionGrant:
    """Convert back."""
    return SessionGrant(message.session_id, message.dataset_held, message.max_reports_per_frame, message.server_version)


def frame_to_proto(frame: Frame) -> frame_pb2.Frame:
    """Convert a frame."""
    truth = None
    if frame.truth is not None:
        index, h = frame.truth.dataset_index, frame.truth.h
        truth = frame_pb2.SimTruth(
            dataset_index=[] if index is None else index.tolist(),
            h=b"" if h is None else h.astype("<c8").tobytes(),
            sent_bits=frame.truth.sent_bits,
            crop_loss=[] if frame.truth.crop_loss is None else frame.truth.crop_loss.tolist(),
        )
    is_fixed = np.array_equal(frame.num_bits, fixed_num_bits(frame.kind, frame.rate))
    return frame_pb2.Frame(
        session_id=frame.session_id,
        frame_id=frame.frame_id,
        kind=int(frame.kind),  # type: ignore[arg-type]  # the enumerations share their numbers
        ue_id=frame.ue_id.tolist(),
        sequence=frame.sequence.tolist(),
        rate=frame.rate.tolist(),
        num_bits=[] if is_fixed else frame.num_bits.tolist(),
        snr_db=frame.snr_db.tolist(),
        length=frame.length.tolist(),
        payload=frame.payload,
        truth=truth,
        deadline_ms=frame.deadline_ms,
        no_eff=frame.no_eff,
    )


def frame_from_proto(message: frame_pb2.Frame) -> Frame:
    """Convert back.

    Raises:
        InvalidArgumentError: If the frame contradicts itself.
    """
    try:
        kind = ReceivedKind(message.kind)
    except ValueError:
        wanted = ", ".join(f"{kind.value} ({kind.name})" for kind in ReceivedKind)
        raise InvalidArgumentError(f"`kind` must be {wanted}; got {message.kind}.") from None
    columns: tuple[Sized, ...] = (message.ue_id, message.sequence, message.rate, message.num_bits, message.snr_db)
    if (longest := max(map(len, (*columns, message.length, message.truth.dataset_index)))) > MAX_REPORTS:
        raise InvalidArgumentError(f"A column of a frame must have at most {MAX_REPORTS} entries; got {longest}.")
    if max(message.sequence, default=0) > MAX_SEQUENCE:
        raise InvalidArgumentError(f"`sequence` must be at most {MAX_SEQUENCE}; got {max(message.sequence)}.")
    rate = np.array(message.rate[:], dtype=np.int64)
    return Frame(
        session_id=message.session_id,
        frame_id=message.frame_id,
        kind=kind,
        ue_id=np.array(message.ue_id[:], dtype=np.int64),
        sequence=np.array(message.sequence[:], dtype=np.int64),
        rate=rate,
        num_bits=np.array(message.num_bits[:], dtype=np.int64) if message.num_bits else fixed_num_bits(kind, rate),
        snr_db=np.array(message.snr_db[:], dtype=np.float32),
        length=np.array(message.length[:], dtype=np.int64),
        payload=message.payload,
        truth=_truth_from_proto(message) if message.HasField("truth") else None,
        deadline_ms=message.deadline_ms,
        no_eff=message.no_eff,
    )


def _truth_from_proto(message: frame_pb2.Frame) -> SimTruth:
    truth, n = message.truth, len(message.ue_id)
    h = None
    if truth.h:
        if n == 0 or len(truth.h) % (8 * n):
            raise InvalidArgumentError(f"`truth.h` must hold {n} channels of complex64; got {len(truth.h)} bytes.")
        h = np.frombuffer(truth.h, dtype="<c8").reshape(n, -1)
    index = np.array(truth.dataset_index[:], dtype=np.int64) if truth.dataset_index else None
    crop_loss = np.array(truth.crop_loss[:], dtype=np.float64) if truth.crop_loss else None
    return SimTruth(index, h, truth.sent_bits, crop_loss)


def frame_ack_to_proto(ack: FrameAck) -> frame_pb2.FrameAck:
    """Convert an acknowledgement."""
    return frame_pb2.FrameAck(
        session_id=ack.session_id,
        frame_id=ack.frame_id,
        code=ack.code,
        message=ack.message,
        retry_delay_ms=ack.retry_delay_ms,
        duplicate=ack.duplicate.tolist(),
        fallback=ack.fallback.tolist(),
        erased=ack.erased.tolist(),
        crc_failed=ack.crc_failed.tolist(),
        nmse=ack.nmse.tolist(),
        sgcs=ack.sgcs.tolist(),
        bit_errors=ack.bit_errors.tolist(),
        queue_ms=ack.queue_ms.tolist(),
        decode_ms=ack.decode_ms.tolist(),
        total_ms=ack.total_ms,
        batch_size=ack.batch_size.tolist(),
        num_steps=ack.num_steps.tolist() if ack.refined.any() else [],
    )


def frame_ack_from_proto(message: frame_pb2.FrameAck) -> FrameAck:
    """Convert back."""
    return FrameAck(
        session_id=message.session_id,
        frame_id=message.frame_id,
        code=message.code,
        message=message.message,
        retry_delay_ms=message.retry_delay_ms,
        duplicate=np.array(message.duplicate, dtype=np.bool_),
        fallback=np.array(message.fallback, dtype=np.bool_),
        erased=_flags(message.erased, message.fallback),
        crc_failed=_flags(message.crc_failed, message.fallback),
        nmse=np.array(message.nmse, dtype=np.float64),
        sgcs=np.array(message.sgcs, dtype=np.float64),
        bit_errors=np.array(message.bit_errors, dtype=np.int64),
        queue_ms=np.array(message.queue_ms, dtype=np.float32),
        decode_ms=np.array(message.decode_ms, dtype=np.float32),
        total_ms=message.total_ms,
        batch_size=np.array(message.batch_size, dtype=np.int64),
        num_steps=np.array(message.num_steps or [0] * len(message.fallback), dtype=np.int64),
    )


def _flags(column: Sequence[bool], like: Sequence[bool]) -> NDArray[np.bool_]:
    """Return a column of flags; base stations before 0.2.0 send none, and have nothing to flag."""
    return np.array(column, dtype=np.bool_) if len(column) else np.zeros(len(like), dtype=np.bool_)
