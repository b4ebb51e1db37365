import hashlib
import json
from pathlib import Path

import pytest

from shared.channels import shipped_datasets
from shared.errors import DataFileError
from shared.experiments import data_verify
from shared.experiments.data_verify import originals, verify


def test_the_table_holds_three_splits_and_the_truth_of_both_scenarios() -> None:
    table = originals()
    assert len({row.sha256 for row in table}) == len(table) == 11
    for end in ("in.mat", "out.mat"):
        assert {row.file for row in table} >= {f"DATA_H{split}{end}" for split in ("train", "val", "test")}
    assert all("outdoor" in row.what for row in table if "out" in row.file)
    assert all(len(row.sha256) == 64 and row.num_bytes > 10**6 for row in table)


def test_the_table_is_that_of_the_published_digests(shared_data: Path) -> None:
    lines = (shared_data / "csinet_dataset_checksums.txt").read_text().splitlines()
    wanted = [line.split() for line in lines if not line.startswith("#")]
    assert [[row.sha256, str(row.num_bytes), row.file] for row in originals()] == wanted


def test_a_file_with_the_digest_of_an_original_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The originals are no part of the project: another table stands in for theirs."""
    content = b"the published bytes"
    table = tmp_path / "originals.tsv"
    digest = hashlib.sha256(content).hexdigest()
    table.write_text(f"sha256\tbytes\tfile\twhat\n{digest}\t{len(content)}\tDATA_Hvalin.mat\tindoor, validation\n")
    monkeypatch.setattr(data_verify, "ORIGINALS", table)
    (tmp_path / "copy.mat").write_bytes(content)
    found = verify(tmp_path / "copy.mat")
    assert (found.known, found.original) == (True, "DATA_Hvalin.mat")
    assert "is the original DATA_Hvalin.mat: indoor, validation" in found.sentence
    for other, message in ((b"the published byteS", f"SHA-256 {digest} wanted"), (b"the", "19 bytes wanted, 3 found")):
        (tmp_path / "DATA_Hvalin.mat").write_bytes(other)
        found = verify(tmp_path / "DATA_Hvalin.mat")
        assert (found.known, found.original) == (False, None)
        assert f"is not the original DATA_Hvalin.mat: {message}" in found.sentence


def test_a_file_of_ours_is_held_against_its_card(tmp_path: Path) -> None:
    shipped = shipped_datasets()["indoor-open-office"]
    assert verify(shipped).known
    copy, card = tmp_path / "x.npz", tmp_path / "x.card.json"
    copy.write_bytes(shipped.read_bytes())
    assert "none of the original CsiNet files, and has no card" in verify(copy).sentence
    fields = json.loads(shipped.with_suffix(".card.json").read_text())
    card.write_text(json.dumps(fields))
    assert verify(copy).known
    card.write_text(json.dumps(fields | {"num_channels": 7}))
    assert "must hold 7 x angular-delay" in verify(copy).sentence
    card.write_text(json.dumps(fields | {"sha256": "0" * 64}))
    assert "is not the file of its card" in verify(copy).sentence
    assert not verify(copy).known
    with pytest.raises(DataFileError, match="is not a file"):
        verify(tmp_path / "none.mat")
