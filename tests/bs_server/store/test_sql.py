import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from bs_server.store import make_store
from bs_server.store.sql import SqlStore
from shared.errors import DataFileError, InvalidArgumentError


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://user@host/name", "must begin with one of sqlite, postgresql; got 'mysql'"),
        ("csilink.db", "must begin with one of sqlite, postgresql; got 'csilink.db'"),
        ("sqlite", "must be a database URL; got one that does not parse"),
        ("sqlite://", "must name a file, sqlite:///path; got a database in memory"),
        ("sqlite:///:memory:", "must name a file, sqlite:///path; got a database in memory"),
    ],
)
def test_a_url_that_is_not_one_of_ours_is_refused(url: str, sentence: str) -> None:
    with pytest.raises(InvalidArgumentError, match=sentence):
        make_store(url, keep_reconstructions=1)


async def test_a_file_that_is_not_a_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a database, but " + "something dear " * 500)
    content = file.read_bytes()
    with pytest.raises(DataFileError, match=r"notes.txt cannot be used: .*not a database"):
        await make_store(f"sqlite:///{file}", 1).open()
    assert file.read_bytes() == content


async def test_a_path_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"missing/csilink.db cannot be used: .*unable to open"):
        await make_store(f"sqlite:///{tmp_path}/missing/csilink.db", 1).open()


async def test_a_server_that_is_not_there_is_refused_without_telling_the_password() -> None:
    with pytest.raises(DataFileError, match=r"`database_url` \S*u:\*\*\*@127.0.0.1:1/name cannot be used") as refusal:
        await make_store("postgresql://u:secret@127.0.0.1:1/name", 1).open()
    assert "secret" not in str(refusal.value)


async def test_a_commit_survives_a_power_cut(tmp_path: Path) -> None:
    path = tmp_path / "csilink.db"
    store = SqlStore(f"sqlite:///{path}", keep_reconstructions=1)
    await store.open()
    async with store._connected().connect() as connection:
        pragmas = {
            name: (await connection.execute(text(f"PRAGMA {name}"))).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    await store.close()
    full = 2
    assert pragmas == {"journal_mode": "wal", "synchronous": full, "foreign_keys": 1}
    with sqlite3.connect(path) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()


async def test_a_database_whose_making_was_cut_off_is_made_to_the_end(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "csilink.db")) as database:
        database.execute("CREATE TABLE schema_info (version INTEGER PRIMARY KEY)")
        database.commit()
    for _ in range(2):
        store = SqlStore(f"sqlite:///{tmp_path}/csilink.db", keep_reconstructions=1)
        await store.open()
        assert await store.sessions(10, None) == []
        await store.close()
