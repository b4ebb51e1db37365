"""The direction of imports (docs/architecture.md), read off the syntax tree."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("protos", "shared", "ue_client", "bs_server")

# Inside `shared` a module imports only from rows below its own; the entries of a row do not import each other.
LAYERS = (
    ("experiments",),
    ("training", "fallback"),
    ("transmit", "receive", "evaluation", "summary"),
    ("codecs", "channels", "estimation", "links", "refinement", "metrics", "wire"),
    ("inr",),
    ("networks", "coding", "transforms", "directions", "model_files", "scenario"),
    ("frame",),
    ("scoring",),
    ("types", "rng", "digests", "energy", "network_settings", "credentials"),
    ("errors", "version"),
)

# What a package never imports.
NEVER = {
    "protos": ("shared", "ue_client", "bs_server"),
    "shared": ("ue_client", "bs_server", "grpc", "fastapi", "starlette", "uvicorn", "sqlalchemy", "socket", "http"),
    "ue_client": ("bs_server", "fastapi", "starlette", "uvicorn", "sqlalchemy"),
    "bs_server": ("ue_client",),
}

# What only these files or folders import.
ONLY_IN = {
    "protos": ("protos/", "shared/wire/", "ue_client/sender.py", "bs_server/rpc/"),
    "sionna": (
        "shared/channels/raytraced/tracing.py",
        "shared/channels/tr38901/paths.py",
        "shared/coding/ldpc.py",
        "shared/coding/polar.py",
        "shared/metrics/phy_abstraction.py",
    ),
}

# Heavy extras: imported inside the function that needs them.
NEVER_AT_MODULE_LEVEL = ("sionna", "mitsuba", "drjit", "ray")

# The files that may read the environment.
READS_ENVIRONMENT = (
    *(f"{side}/{name}.py" for side in ("ue_client", "bs_server") for name in ("config", "__main__")),
    "shared/experiments/__main__.py",  # csi-lab's, which no library imports
)
ENVIRONMENT = ("environ", "environb", "getenv")


@dataclass(frozen=True)
class Imported:
    name: str
    line: int
    at_module_level: bool


def imports(path: str, tree: ast.Module) -> Iterator[Imported]:
    inside = {id(node) for function in ast.walk(tree) if _is_function(function) for node in ast.walk(function)}
    for node in ast.walk(tree):
        for name in _names(path, node):
            yield Imported(name, getattr(node, "lineno", 0), id(node) not in inside)


def _is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


def _names(path: str, node: ast.AST) -> list[str]:
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom():
            parents = Path(path).with_suffix("").parts[: -node.level] if node.level else ()
            base = ".".join([*parents, *([node.module] if node.module else [])])
            return [f"{base}.{alias.name}" for alias in node.names]
        case ast.Call(
            func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            return [name]
    return []


def _under(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _row(module: str) -> int | None:
    return next((row for row, modules in enumerate(LAYERS) if module in modules), None)


def import_violations(path: str, source: str) -> list[str]:
    """Return one sentence for each import of the file at ``path`` that breaks a rule."""
    package = path.split("/", maxsplit=1)[0]
    found = []
    for imported in imports(path, ast.parse(source)):
        where = f"{path}:{imported.line} imports {imported.name}"
        if _under(imported.name, NEVER[package]):
            found.append(f"{where}: never in {package}")
        for name, places in ONLY_IN.items():
            if _under(imported.name, (name,)) and not path.startswith(places):
                found.append(f"{where}: only in {', '.join(places)}")
        if imported.at_module_level and _under(imported.name, NEVER_AT_MODULE_LEVEL):
            found.append(f"{where}: not at module level")
        if package == "shared" and imported.name.startswith("shared."):
            found += _layer_violations(path, imported.name, where)
    return found


def _layer_violations(path: str, imported: str, where: str) -> list[str]:
    importer, target = Path(path).with_suffix("").parts[1], imported.split(".")[1]
    rows = _row(importer), _row(target)
    if None in rows:
        return [f"{where}: {importer if rows[0] is None else target} has no row in LAYERS"]
    return [f"{where}: not downwards"] if importer != target and rows[0] >= rows[1] else []  # type: ignore[operator]


def habit_violations(path: str, source: str) -> list[str]:
    """Return one sentence for each `assert`, and for each reading of the environment outside the files that may."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Assert():
                found.append(f"{path}:{node.lineno} asserts: raise an error of shared.errors")
            case ast.Attribute(attr=name) | ast.alias(name=name) if name in ENVIRONMENT:
                if path not in READS_ENVIRONMENT:
                    found.append(f"{path}:{node.lineno} reads the environment: only config does")
    return found


def product_files() -> dict[str, str]:
    """Return path -> source of every Python file of the product."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): path.read_text() for path in paths}


def test_every_import_of_the_product_keeps_the_rules() -> None:
    files = product_files()
    assert {"shared/rng.py", "protos/csi/v1/feedback_pb2_grpc.py"} <= files.keys()
    assert [line for path, source in files.items() for line in import_violations(path, source)] == []


def test_no_product_file_asserts_or_reads_the_environment_outside_config() -> None:
    assert [line for path, source in product_files().items() for line in habit_violations(path, source)] == []


@pytest.mark.parametrize(
    ("path", "source", "rule"),
    [
        ("shared/codecs/klt.py", "from shared.channels import load_channels", "not downwards"),
        ("shared/codecs/klt.py", "from ..channels import load_channels", "not downwards"),
        ("shared/codecs/klt.py", "def f():\n    import shared.training.klt", "not downwards"),
        ("shared/errors.py", "from shared import types", "not downwards"),
        ("shared/helpers.py", "import shared.types", "no row in LAYERS"),
        ("shared/receive.py", "from bs_server.worker import Worker", "never in shared"),
        ("shared/receive.py", "import importlib\nimportlib.import_module('grpc')", "never in shared"),
        ("shared/codecs/klt.py", "from protos.csi.v1 import frame_pb2", "only in"),
        ("shared/channels/tr38901/paths.py", "import sionna.phy", "not at module level"),
        ("shared/codecs/klt.py", "def f():\n    import sionna.phy", "only in"),
        ("bs_server/app.py", "from protos.csi.v1 import frame_pb2", "only in"),
        ("bs_server/app.py", "import ue_client.fleet", "never in bs_server"),
        ("ue_client/pipeline.py", "import bs_server", "never in ue_client"),
        ("ue_client/pipeline.py", "from protos.csi.v1 import frame_pb2", "only in"),
        ("protos/csi/v1/frame_pb2.py", "import shared.errors", "never in protos"),
    ],
)
def test_the_checker_catches_an_import_that_breaks_a_rule(path: str, source: str, rule: str) -> None:
    violations = import_violations(path, source)
    assert len(violations) == 1
    assert rule in violations[0]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("shared/codecs/klt.py", "from shared.codecs.base import Decoder\nimport grpc_like\nimport numpy"),
        ("shared/channels/tr38901/paths.py", "def f():\n    import sionna.phy"),
        ("bs_server/rpc/service.py", "from protos.csi.v1 import feedback_pb2\nfrom shared.wire import serde"),
    ],
)
def test_the_checker_lets_an_import_pass_that_keeps_the_rules(path: str, source: str) -> None:
    assert import_violations(path, source) == []


@pytest.mark.parametrize(
    "source", ["assert x", "import os\nos.environ['X']", "from os import getenv", "os.getenv('X')"]
)
def test_the_checker_catches_a_habit_that_breaks_a_rule(source: str) -> None:
    assert len(habit_violations("bs_server/app.py", source)) == 1


def test_config_may_read_the_environment() -> None:
    assert habit_violations("ue_client/config.py", "import os\nos.environ['X']") == []


def test_importing_the_library_loads_no_web_server_no_grpc_and_no_simulator() -> None:
    code = (
        "import sys, shared.codecs, shared.channels, shared.links, shared.receive, shared.wire.serde;"
        "print([name for name in ('sionna', 'grpc', 'fastapi', 'sqlalchemy', 'scipy.io') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
