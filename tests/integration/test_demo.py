import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest


@pytest.mark.timeout(600)
def test_the_demo_runs_its_codecs_and_leaves_its_files(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    out.mkdir()
    (out / "csilink.db").write_text("of an earlier demo")
    arguments = ["demo", "--num-reports", "8", "--snr-db", "0,10", "--out", str(out)]
    command = [sys.executable, "-m", "shared.experiments", *arguments]
    end = subprocess.run(command, capture_output=True, text=True, timeout=500, check=True)
    groups = json.loads((out / "summary.json").read_text())["groups"]
    assert [(group["codec"], group["snr_db"], group["num_scored"]) for group in groups] == [
        (codec, snr_db, 8) for codec in ("angular-topk", "crnet", "csinet", "klt") for snr_db in (0.0, 10.0)
    ]
    for noisy, clean in zip(groups[::2], groups[1::2], strict=True):
        assert noisy["nmse"]["mean"] > clean["nmse"]["mean"]
        assert noisy["bler"]["value"] > clean["bler"]["value"]
    rows = json.loads((out / "ue.json").read_text())
    assert {row["codec"]: row["bler"] for row in rows if row["snr_db"] == 0} == {
        group["codec"]: group["bler"]["value"] for group in groups if group["snr_db"] == 0
    }
    assert (out / "nmse_bler.png").read_bytes().startswith(b"\x89PNG")
    joint = json.loads((out / "joint_coding.json").read_text())
    assert list(joint) == [
        "rd-jscc",
        "rd-jscc + RD",
        "klt-analog",
        "csinet, 16-QAM",
        "csinet, 64-QAM",
        "angular-topk, 256-QAM",
    ]
    assert {group["channel_uses_per_report"] for of in joint.values() for group in of} == {16.0}
    assert all([group["snr_db"] for group in of] == [-10, -5, 0, 5, 10, 15, 20] for of in joint.values())
    assert [joint[name][0]["refined_rate"]["value"] for name in ("rd-jscc", "rd-jscc + RD")] == [0, 1]
    assert (out / "joint_coding.png").read_bytes().startswith(b"\x89PNG")
    assert all(name in end.stdout for name in joint)
    with closing(sqlite3.connect(out / "csilink.db")) as database:
        assert database.execute("SELECT count(*) FROM reports").fetchone() == (8 * (4 * 2 + 6 * 7),)
    assert all(codec in end.stdout for codec in ("klt", "angular-topk", "csinet", "crnet"))
    assert '"message": "stopped"' in (out / "bs.log").read_text()
