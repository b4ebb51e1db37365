"""The tables of the store; `VERSION` changes with them, and `ADDED` says which columns a version before lacks."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

VERSION = 8

# Version -> the columns that it brought: table, column, definition. An older database gets them, and the tables that
# it lacks (version 3: downlink; 4: subbands; 8: what is summed up), when it is opened.
ADDED = {
    2: (
        ("sessions", "estimator", "VARCHAR(100) DEFAULT 'perfect' NOT NULL"),
        ("sessions", "cnr_db", "DOUBLE PRECISION"),
    ),
    3: (
        ("sessions", "downlink_snr_db", "VARCHAR(400) DEFAULT '' NOT NULL"),
        ("sessions", "fallback", "VARCHAR(20) DEFAULT 'mean' NOT NULL"),
        ("reports", "rho", "DOUBLE PRECISION"),
        ("reports", "erased", "BOOLEAN DEFAULT FALSE NOT NULL"),
        ("reports", "crc_ok", "BOOLEAN"),
        ("reports", "coded_bits", "INTEGER"),
        ("reports", "channel_uses", "INTEGER"),
        ("reports", "held", "BOOLEAN DEFAULT FALSE NOT NULL"),
    ),
    4: (
        ("sessions", "downlink_num_ue", "INTEGER DEFAULT 1 NOT NULL"),
        ("sessions", "downlink_mcs", "INTEGER"),
        ("sessions", "num_subbands", "INTEGER DEFAULT 0 NOT NULL"),
        ("reports", "nmse_full", "DOUBLE PRECISION"),
        ("downlink", "bler_coded", "DOUBLE PRECISION"),
        ("downlink", "bler_coded_perfect", "DOUBLE PRECISION"),
    ),
    5: (
        ("sessions", "refinement", "VARCHAR(200) DEFAULT 'never' NOT NULL"),
        ("sessions", "run", "BIGINT DEFAULT 0 NOT NULL"),
        ("reports", "num_steps", "INTEGER DEFAULT 0 NOT NULL"),
    ),
    6: (("sessions", "refiner_sha256", "VARCHAR(64) DEFAULT '' NOT NULL"),),
    7: (("reports", "num_bits", "INTEGER"),),
    8: (),
}

metadata = MetaData()
_Key = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER keys count up by themselves in SQLite

schema_info = Table("schema_info", metadata, Column("version", Integer, primary_key=True))

sessions = Table(
    "sessions",
    metadata,
    Column("session_id", String(36), primary_key=True),
    Column("codec", String(200), nullable=False),
    Column("model_sha256", String(64), nullable=False),
    Column("domain", String(20), nullable=False),
    Column("num_rx_ant", Integer, nullable=False),
    Column("num_tx_ant", Integer, nullable=False),
    Column("num_subcarriers", Integer, nullable=False),
    Column("link", String(100), nullable=False),
    Column("dataset_sha256", String(64), nullable=False),
    Column("opened_at", Float(53), nullable=False, index=True),
    Column("closed_at", Float(53)),
    Column("estimator", String(100), nullable=False),
    Column("cnr_db", Float(53)),
    Column("downlink_snr_db", String(400), nullable=False),  # numbers, divided by commas
    Column("downlink_num_ue", Integer, nullable=False),
    Column("downlink_mcs", Integer),
    Column("num_subbands", Integer, nullable=False),
    Column("fallback", String(20), nullable=False),
    Column("refinement", String(200), nullable=False),
    Column("run", BigInteger, nullable=False),
    Column("refiner_sha256", String(64), nullable=False),  # "": none, or one of version 5
)

reports = Table(
    "reports",
    metadata,
    Column("report_id", _Key, primary_key=True),
    Column("session_id", String(36), ForeignKey("sessions.session_id"), nullable=False),
    Column("ue_id", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("received_at", Float(53), nullable=False),
    Column("rate", Integer, nullable=False),
    Column("num_bits", Integer),  # NULL before version 7: `rate`, or none of symbols
    Column("snr_db", Float(53), nullable=False),
    Column("nmse", Float(53)),
    Column("sgcs", Float(53)),
    Column("bit_errors", Integer),
    Column("fallback", Boolean, nullable=False),
    Column("queue_ms", Float(53), nullable=False),
    Column("decode_ms", Float(53), nullable=False),
    Column("batch_size", Integer, nullable=False),
    Column("coded_bits", Integer),  # NULL before version 3: as many as `rate`, and as many symbols; 0: no bits, symbols
    Column("channel_uses", Integer),
    Column("rho", Float(53)),
    Column("erased", Boolean, nullable=False),
    Column("crc_ok", Boolean),
    Column("nmse_full", Float(53)),
    Column("held", Boolean, nullable=False),
    Column("num_steps", Integer, nullable=False),
    UniqueConstraint("session_id", "ue_id", "sequence"),
    sqlite_autoincrement=True,
)

reconstructions = Table(
    "reconstructions",
    metadata,
    Column("reconstruction_id", _Key, primary_key=True),
    Column("session_id", String(36), nullable=False),
    Column("ue_id", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("h_hat", LargeBinary, nullable=False),
    Column("h", LargeBinary),
    UniqueConstraint("session_id", "ue_id", "sequence"),
    sqlite_autoincrement=True,
)

downlink = Table(
    "downlink",
    metadata,
    Column("session_id", String(36), primary_key=True),
    Column("ue_id", BigInteger, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("snr_db", Float(53), primary_key=True),
    Column("bler", Float(53), nullable=False),
    Column("spectral_efficiency", Float(53), nullable=False),
    Column("bler_perfect", Float(53), nullable=False),
    Column("spectral_efficiency_perfect", Float(53), nullable=False),
    Column("bler_coded", Float(53)),
    Column("bler_coded_perfect", Float(53)),
)

subbands = Table(
    "subbands",
    metadata,
    Column("session_id", String(36), primary_key=True),
    Column("ue_id", BigInteger, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("layer", Integer, primary_key=True),  # from 1
    Column("subband", Integer, primary_key=True),  # from 0
    Column("sgcs", Float(53), nullable=False),
)

# What reports up to `summed_up.report_id` add up to, in cells of one session, rate and SNR: all that a summary groups
# and filters by, but the UE. Later reports are summed when they are asked for (`totals.py`).
COUNTS = (
    *("num_reports", "num_scored", "num_nmse_full", "num_rho", "num_decided", "bit_errors", "decided_bits"),
    *("sum_errors_squared", "sum_errors_times_bits", "sum_bits_squared", "block_errors", "erasures", "num_checked"),
    *("crc_failures", "num_verified", "undetected_errors", "info_bits", "coded_bits", "channel_uses"),
    *("num_symbol_reports", "num_symbol_scored", "fallbacks", "held", "num_refined", "sum_num_steps", "sum_batch_size"),
)
SUMS = (
    *("sum_nmse", "sum_nmse_squared", "sum_nmse_full", "sum_nmse_full_squared", "sum_sgcs", "sum_sgcs_squared"),
    *("sum_rho", "sum_rho_squared", "sum_queue_ms", "sum_decode_ms"),
)
DOWNLINK_SUMS = (
    *("sum_bler", "sum_bler_squared", "sum_spectral_efficiency", "sum_spectral_efficiency_squared"),
    *("sum_bler_perfect", "sum_spectral_efficiency_perfect"),
    *("sum_bler_coded", "sum_bler_coded_squared", "sum_bler_coded_perfect"),
)


def _cells(name: str, further_key: tuple[Column[Any], ...], counts: tuple[str, ...], sums: tuple[str, ...]) -> Table:
    return Table(
        name,
        metadata,
        Column("session_id", String(36), primary_key=True),
        Column("rate", Integer, primary_key=True),
        Column("snr_db", Float(53), primary_key=True),
        *further_key,
        *(Column(count, BigInteger, nullable=False) for count in counts),
        *(Column(total, Float(53), nullable=False) for total in sums),
    )


cells = _cells("cells", (), COUNTS, SUMS)
downlink_cells = _cells(
    "downlink_cells", (Column("downlink_snr_db", Float(53), primary_key=True),), ("count",), DOWNLINK_SUMS
)
subband_cells = _cells(
    "subband_cells",
    (Column("layer", Integer, primary_key=True), Column("subband", Integer, primary_key=True)),
    ("count",),
    ("sum_sgcs", "sum_sgcs_squared"),
)
nmse_counts = Table(  # shared/summary/median.py
    "nmse_counts",
    metadata,
    Column("session_id", String(36), primary_key=True),
    Column("rate", Integer, primary_key=True),
    Column("snr_db", Float(53), primary_key=True),
    Column("counts", LargeBinary, nullable=False),  # int64, little-endian: bin, count, bin, count, ...
)
summed_up = Table("summed_up", metadata, Column("id", Integer, primary_key=True), Column("report_id", BigInteger))
