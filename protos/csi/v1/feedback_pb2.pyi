from protos.csi.v1 import frame_pb2 as _frame_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class OpenSessionRequest(_message.Message):
    __slots__ = ("protocol_version", "session_id", "codec", "model_sha256", "domain", "num_rx_ant", "num_tx_ant", "num_subcarriers", "link", "dataset_sha256", "estimator", "cnr_db", "downlink_snr_db", "fallback", "downlink_num_ue", "downlink_mcs", "num_subbands", "refinement", "run", "variable_length")
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    CODEC_FIELD_NUMBER: _ClassVar[int]
    MODEL_SHA256_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    NUM_RX_ANT_FIELD_NUMBER: _ClassVar[int]
    NUM_TX_ANT_FIELD_NUMBER: _ClassVar[int]
    NUM_SUBCARRIERS_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    DATASET_SHA256_FIELD_NUMBER: _ClassVar[int]
    ESTIMATOR_FIELD_NUMBER: _ClassVar[int]
    CNR_DB_FIELD_NUMBER: _ClassVar[int]
    DOWNLINK_SNR_DB_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_FIELD_NUMBER: _ClassVar[int]
    DOWNLINK_NUM_UE_FIELD_NUMBER: _ClassVar[int]
    DOWNLINK_MCS_FIELD_NUMBER: _ClassVar[int]
    NUM_SUBBANDS_FIELD_NUMBER: _ClassVar[int]
    REFINEMENT_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    VARIABLE_LENGTH_FIELD_NUMBER: _ClassVar[int]
    protocol_version: int
    session_id: str
    codec: str
    model_sha256: str
    domain: str
    num_rx_ant: int
    num_tx_ant: int
    num_subcarriers: int
    link: str
    dataset_sha256: str
    estimator: str
    cnr_db: float
    downlink_snr_db: _containers.RepeatedScalarFieldContainer[float]
    fallback: str
    downlink_num_ue: int
    downlink_mcs: int
    num_subbands: int
    refinement: str
    run: int
    variable_length: bool
    def __init__(self, protocol_version: _Optional[int] = ..., session_id: _Optional[str] = ..., codec: _Optional[str] = ..., model_sha256: _Optional[str] = ..., domain: _Optional[str] = ..., num_rx_ant: _Optional[int] = ..., num_tx_ant: _Optional[int] = ..., num_subcarriers: _Optional[int] = ..., link: _Optional[str] = ..., dataset_sha256: _Optional[str] = ..., estimator: _Optional[str] = ..., cnr_db: _Optional[float] = ..., downlink_snr_db: _Optional[_Iterable[float]] = ..., fallback: _Optional[str] = ..., downlink_num_ue: _Optional[int] = ..., downlink_mcs: _Optional[int] = ..., num_subbands: _Optional[int] = ..., refinement: _Optional[str] = ..., run: _Optional[int] = ..., variable_length: _Optional[bool] = ...) -> None: ...

class OpenSessionResponse(_message.Message):
    __slots__ = ("session_id", "dataset_held", "max_reports_per_frame", "server_version")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    DATASET_HELD_FIELD_NUMBER: _ClassVar[int]
    MAX_REPORTS_PER_FRAME_FIELD_NUMBER: _ClassVar[int]
    SERVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    dataset_held: bool
    max_reports_per_frame: int
    server_version: str
    def __init__(self, session_id: _Optional[str] = ..., dataset_held: _Optional[bool] = ..., max_reports_per_frame: _Optional[int] = ..., server_version: _Optional[str] = ...) -> None: ...

class CloseSessionRequest(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class CloseSessionResponse(_message.Message):
    __slots__ = ("num_reports",)
    NUM_REPORTS_FIELD_NUMBER: _ClassVar[int]
    num_reports: int
    def __init__(self, num_reports: _Optional[int] = ...) -> None: ...
