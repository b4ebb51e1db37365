import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROTOS = ROOT / "protos/csi/v1"
NO_SERVICE = "frame_pb2_grpc.py"  # frame.proto has no service: its stub file is empty and not committed


def test_the_committed_code_is_what_protoc_generates_from_the_protos(tmp_path: Path) -> None:
    sources = [path.relative_to(ROOT).as_posix() for path in sorted(PROTOS.glob("*.proto"))]
    outputs = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", "-I", ".", *outputs, *sources], cwd=ROOT, check=True)
    generated = {path.name: path.read_text() for path in (tmp_path / "protos/csi/v1").iterdir()}
    assert len(generated.pop(NO_SERVICE)) > 0
    committed = {path.name: path.read_text() for path in PROTOS.glob("*_pb2*.py*")}
    assert generated == committed
