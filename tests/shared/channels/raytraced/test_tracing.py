import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from shared.channels.multipath import Paths, angular_delay_chunks
from shared.channels.raytraced import Raytraced
from shared.channels.raytraced.places import places
from shared.channels.raytraced.tracing import Tracer, require_llvm
from shared.transforms import from_angular_delay

C_M_S = 299_792_458.0
GROUND_M = -0.0302  # of the scene


def test_the_strongest_path_of_a_ue_in_sight_is_the_straight_line(tracer: Tracer, street: Raytraced) -> None:
    ues = places(street, 20, seed=1)
    traced = tracer.trace(ues)
    assert traced.line_of_sight.all()
    first = np.concatenate([[0], np.cumsum(traced.counts)])[:-1]
    away = ues.astype(np.float64) - street.bs_position_m
    distance = np.linalg.norm(away, axis=1)
    wavelength = C_M_S / street.carrier_frequency_hz
    assert np.allclose(traced.delay_s[first], distance / C_M_S, rtol=1e-6)
    assert np.allclose(np.abs(traced.amplitude[first]), wavelength / (4 * np.pi * distance), rtol=1e-3)
    turned = traced.amplitude[first] * np.exp(2j * np.pi * distance / wavelength)
    assert np.abs(np.angle(turned)).max() < 0.01
    assert np.allclose(traced.aod[first], np.arcsin(-away[:, 0] / distance), atol=1e-4)  # the array lies along x


def test_the_ground_reflects_as_from_the_base_stations_mirror_image(tracer: Tracer, street: Raytraced) -> None:
    ues = places(street, 20, seed=2)
    traced = tracer.trace(ues)
    x, y, z = street.bs_position_m
    mirrored = np.array([x, y, 2 * GROUND_M - z])
    late_s = np.linalg.norm(ues - mirrored, axis=1) / C_M_S
    offsets = np.concatenate([[0], np.cumsum(traced.counts)])
    for i, expected_s in enumerate(late_s):
        delays = traced.delay_s[offsets[i] : offsets[i + 1]]
        assert np.abs(delays - expected_s).min() < 1e-11


def test_channels_of_the_paths_are_those_that_sionna_computes(tracer: Tracer, street: Raytraced) -> None:
    import mitsuba as mi
    from sionna import rt

    turned = Tracer(replace(street, array_azimuth_deg=90.0, num_tx_ant=3, max_paths=1000))
    ues = places(street, 5, seed=3)
    traced = turned.trace(ues)
    offsets = np.concatenate([[0], np.cumsum(traced.counts)])
    paths = Paths(offsets, np.sin(traced.aod.astype(np.float64)), traced.delay_s, traced.amplitude)
    sampling = replace(street.sampling, num_tx_ant=3, num_delay_taps=street.num_subcarriers)
    ours = from_angular_delay(torch.cat([x for x, _ in angular_delay_chunks(paths, sampling)]))[:, 0].numpy()

    scene = rt.load_scene(rt.scene.simple_street_canyon)
    scene.frequency = street.carrier_frequency_hz
    scene.rx_array = rt.PlanarArray(num_rows=1, num_cols=1, pattern="iso", polarization="V")
    # Sionna's array lies along y with its middle at the BS, ours begins there: of five, the last three.
    scene.tx_array = rt.PlanarArray(num_rows=1, num_cols=5, pattern="iso", polarization="V")
    scene.add(rt.Transmitter("bs", position=mi.Point3f(*street.bs_position_m), orientation=mi.Point3f(0, 0, 0)))
    for i, ue in enumerate(ues):
        scene.add(rt.Receiver(f"ue{i}", position=mi.Point3f(*ue.tolist())))
    solved = rt.PathSolver(deterministic=True)(
        scene, max_depth=street.max_depth, samples_per_src=street.num_rays, refraction=False, seed=1
    )
    step_hz = street.bandwidth_hz / street.num_subcarriers
    frequencies = mi.Float((np.arange(street.num_subcarriers) * step_hz).tolist())
    theirs = solved.cfr(frequencies=frequencies, normalize_delays=False, out_type="numpy")[:, 0, 0, :, 0]
    theirs = theirs[:, 2:]
    error = np.linalg.norm(ours - theirs, axis=(1, 2)) / np.linalg.norm(theirs, axis=(1, 2))
    assert error.max() < 1e-3


def test_paths_are_the_strongest_in_order_and_no_later_than_a_symbol(tracer: Tracer, street: Raytraced) -> None:
    ues = places(street, 10, seed=4)
    few = Tracer(replace(street, max_paths=3, bandwidth_hz=300e6)).trace(ues)
    assert few.counts.max() <= 3
    assert few.delay_s.max() < 64 / 300e6
    many = tracer.trace(ues)
    strength = np.abs(many.amplitude)
    inside = np.diff(np.repeat(np.arange(10), many.counts)) == 0
    assert (np.diff(strength)[inside] <= 0).all()


def test_a_ue_in_a_building_has_no_path(tracer: Tracer) -> None:
    in_the_open, in_a_building = [0.0, 0.0, 2.0], [0.0, 20.0, 2.0]
    traced = tracer.trace(np.array([in_a_building, in_the_open, in_a_building], dtype=np.float32))
    assert traced.counts[[0, 2]].tolist() == [0, 0]
    assert traced.counts[1] > 0
    assert traced.line_of_sight.tolist() == [False, True, False]
    nothing = tracer.trace(np.array([in_a_building], dtype=np.float32))
    assert (nothing.counts.tolist(), len(nothing.amplitude)) == ([0], 0)


def test_other_places_are_traced_by_the_kernels_of_the_first(tracer: Tracer, street: Raytraced) -> None:
    """What is compiled stays in memory, and on the disk in ~/.drjit: both would grow with the UEs."""
    import drjit as dr

    kernels = []
    with dr.scoped_set_flag(dr.JitFlag.KernelHistory):
        for seed in (5, 6):
            dr.kernel_history_clear()
            tracer.trace(places(street, 10, seed))
            kernels.append({kernel["hash"] for kernel in dr.kernel_history([dr.KernelType.JIT])})
    assert len(kernels[0]) > 20
    assert len(kernels[1] - kernels[0]) <= 2  # two hold how many rays met a wall, which repeats


@pytest.mark.parametrize(("raised", "seen"), [(KeyboardInterrupt, KeyboardInterrupt), (ValueError, RuntimeError)])
def test_an_interrupt_inside_the_solvers_loop_is_an_interrupt(
    raised: type[BaseException],
    seen: type[BaseException],
    tracer: Tracer,
    street: Raytraced,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import drjit as dr
    import mitsuba as mi

    def break_off(_: mi.UInt) -> None:
        raise raised

    def loops(*_: object, **__: object) -> None:
        dr.while_loop((mi.UInt(0),), lambda i: i < 3, break_off)

    monkeypatch.setattr(tracer, "_solver", loops)
    with pytest.raises(seen):
        tracer.trace(places(street, 1, seed=1))


def test_the_walls_are_those_of_the_buildings_and_scale_with_the_scene(tracer: Tracer, street: Raytraced) -> None:
    walls = tracer.walls()
    corner = np.abs(walls[:, :2] - (-15.1, 9.6)).max(axis=1) < 0.15
    assert corner.any()
    assert (walls[:, :2] != walls[:, 2:]).any(axis=1).all()
    larger = Tracer(replace(street, scale=2.0)).walls()
    assert (np.abs(larger[:, :2] - (-30.2, 19.2)).max(axis=1) < 0.3).any()


def test_without_sionna_rt_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, street: Raytraced
) -> None:
    monkeypatch.setitem(sys.modules, "drjit", None)
    with pytest.raises(ImportError, match=r"Ray tracing needs Sionna RT: pip install sionna-rt, or csilink with its"):
        Tracer(street)


@pytest.mark.parametrize("version", [14, 15, 18])
def test_an_llvm_that_is_too_old_is_refused_and_the_sentence_names_the_package(version: int) -> None:
    with pytest.raises(ImportError, match=rf"needs LLVM 19 or newer, found {version}: apt-get install libllvm19,"):
        require_llvm(version)


@pytest.mark.parametrize(
    "library", ["/nowhere/libLLVM.so", *map(str, sorted(Path("/usr/lib/x86_64-linux-gnu").glob("libLLVM-1[0-8].so")))]
)
def test_without_a_usable_llvm_the_command_ends_with_the_sentence(library: str, tmp_path: Path) -> None:
    pytest.importorskip("drjit")
    command = ["data", "generate", "raytraced", "--preset", "street-3g5", "--out", str(tmp_path / "x.npz")]
    run = subprocess.run(
        [sys.executable, "-m", "shared.experiments", *command],
        env={**os.environ, "DRJIT_LIBLLVM_PATH": library},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    *_, last = run.stderr.splitlines()  # Dr.Jit may have printed its own before
    assert last.startswith("csi-lab: Ray tracing needs LLVM 19 or newer, found ")
    assert "Traceback" not in run.stderr
    assert list(tmp_path.iterdir()) == []
