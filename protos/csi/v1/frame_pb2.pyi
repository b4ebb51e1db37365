from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReceivedKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RECEIVED_KIND_UNSPECIFIED: _ClassVar[ReceivedKind]
    RECEIVED_KIND_HARD_BITS: _ClassVar[ReceivedKind]
    RECEIVED_KIND_LLRS: _ClassVar[ReceivedKind]
    RECEIVED_KIND_SYMBOLS: _ClassVar[ReceivedKind]
RECEIVED_KIND_UNSPECIFIED: ReceivedKind
RECEIVED_KIND_HARD_BITS: ReceivedKind
RECEIVED_KIND_LLRS: ReceivedKind
RECEIVED_KIND_SYMBOLS: ReceivedKind

class Frame(_message.Message):
    __slots__ = ("session_id", "frame_id", "kind", "ue_id", "sequence", "rate", "snr_db", "length", "payload", "truth", "deadline_ms", "no_eff", "num_bits")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    FRAME_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    UE_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    SNR_DB_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    TRUTH_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_MS_FIELD_NUMBER: _ClassVar[int]
    NO_EFF_FIELD_NUMBER: _ClassVar[int]
    NUM_BITS_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    frame_id: int
    kind: ReceivedKind
    ue_id: _containers.RepeatedScalarFieldContainer[int]
    sequence: _containers.RepeatedScalarFieldContainer[int]
    rate: _containers.RepeatedScalarFieldContainer[int]
    snr_db: _containers.RepeatedScalarFieldContainer[float]
    length: _containers.RepeatedScalarFieldContainer[int]
    payload: bytes
    truth: SimTruth
    deadline_ms: int
    no_eff: bytes
    num_bits: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, session_id: _Optional[str] = ..., frame_id: _Optional[int] = ..., kind: _Optional[_Union[ReceivedKind, str]] = ..., ue_id: _Optional[_Iterable[int]] = ..., sequence: _Optional[_Iterable[int]] = ..., rate: _Optional[_Iterable[int]] = ..., snr_db: _Optional[_Iterable[float]] = ..., length: _Optional[_Iterable[int]] = ..., payload: _Optional[bytes] = ..., truth: _Optional[_Union[SimTruth, _Mapping]] = ..., deadline_ms: _Optional[int] = ..., no_eff: _Optional[bytes] = ..., num_bits: _Optional[_Iterable[int]] = ...) -> None: ...

class SimTruth(_message.Message):
    __slots__ = ("dataset_index", "h", "sent_bits", "crop_loss")
    DATASET_INDEX_FIELD_NUMBER: _ClassVar[int]
    H_FIELD_NUMBER: _ClassVar[int]
    SENT_BITS_FIELD_NUMBER: _ClassVar[int]
    CROP_LOSS_FIELD_NUMBER: _ClassVar[int]
    dataset_index: _containers.RepeatedScalarFieldContainer[int]
    h: bytes
    sent_bits: bytes
    crop_loss: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, dataset_index: _Optional[_Iterable[int]] = ..., h: _Optional[bytes] = ..., sent_bits: _Optional[bytes] = ..., crop_loss: _Optional[_Iterable[float]] = ...) -> None: ...

class FrameAck(_message.Message):
    __slots__ = ("session_id", "frame_id", "code", "message", "retry_delay_ms", "duplicate", "fallback", "erased", "crc_failed", "num_steps", "nmse", "sgcs", "bit_errors", "queue_ms", "decode_ms", "total_ms", "batch_size")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    FRAME_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRY_DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_FIELD_NUMBER: _ClassVar[int]
    ERASED_FIELD_NUMBER: _ClassVar[int]
    CRC_FAILED_FIELD_NUMBER: _ClassVar[int]
    NUM_STEPS_FIELD_NUMBER: _ClassVar[int]
    NMSE_FIELD_NUMBER: _ClassVar[int]
    SGCS_FIELD_NUMBER: _ClassVar[int]
    BIT_ERRORS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_MS_FIELD_NUMBER: _ClassVar[int]
    DECODE_MS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_MS_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    frame_id: int
    code: int
    message: str
    retry_delay_ms: int
    duplicate: _containers.RepeatedScalarFieldContainer[bool]
    fallback: _containers.RepeatedScalarFieldContainer[bool]
    erased: _containers.RepeatedScalarFieldContainer[bool]
    crc_failed: _containers.RepeatedScalarFieldContainer[bool]
    num_steps: _containers.RepeatedScalarFieldContainer[int]
    nmse: _containers.RepeatedScalarFieldContainer[float]
    sgcs: _containers.RepeatedScalarFieldContainer[float]
    bit_errors: _containers.RepeatedScalarFieldContainer[int]
    queue_ms: _containers.RepeatedScalarFieldContainer[float]
    decode_ms: _containers.RepeatedScalarFieldContainer[float]
    total_ms: float
    batch_size: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, session_id: _Optional[str] = ..., frame_id: _Optional[int] = ..., code: _Optional[int] = ..., message: _Optional[str] = ..., retry_delay_ms: _Optional[int] = ..., duplicate: _Optional[_Iterable[bool]] = ..., fallback: _Optional[_Iterable[bool]] = ..., erased: _Optional[_Iterable[bool]] = ..., crc_failed: _Optional[_Iterable[bool]] = ..., num_steps: _Optional[_Iterable[int]] = ..., nmse: _Optional[_Iterable[float]] = ..., sgcs: _Optional[_Iterable[float]] = ..., bit_errors: _Optional[_Iterable[int]] = ..., queue_ms: _Optional[_Iterable[float]] = ..., decode_ms: _Optional[_Iterable[float]] = ..., total_ms: _Optional[float] = ..., batch_size: _Optional[_Iterable[int]] = ...) -> None: ...
