"""Trace propagation paths with Sionna RT (extra `raytracing`; imported only here).

    scene + BS + a batch of UEs -> shoot rays, find walls -> image method -> strongest paths of each UE

Specular reflections and the line of sight alone: no diffraction, no scattering, nothing through walls. A path has

    amp = a exp(-j 2 pi f_c tau)     u = -k . axis = sin(aod)

a the field's amplitude between isotropic, vertically polarised antennas, f_c the carrier, k the unit vector of
departure, axis the direction in which the antennas follow each other: antenna n has phase exp(-j pi n u)
(`shared.channels.multipath`).

Everything is traced on the CPU, by Dr.Jit's LLVM backend: Sionna would take a GPU where there is one, and find other
last digits on it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.channels.raytraced.settings import Raytraced

VARIANT = "llvm_ad_mono_polarized"
OLDEST_LLVM = 19  # 15 aborts the process on recent CPUs ("Cannot select"), 14 is refused by Dr.Jit
RAYS_TIMES_UES = 4_000_000  # of one batch: about 1 GB
MOST_UES_AT_ONCE = 500
RAY_SEED = 1
MARGIN_M = 60.0  # of ground around the UEs and the BS whose walls are kept for the map
LEVEL = 0.3  # a face whose normal rises less than this is a wall


@dataclass(frozen=True, slots=True)
class Traced:
    """The paths of some UEs, end to end, those of a UE from the strongest on.

    Attributes:
        counts: [n] int64, paths of each UE; 0 without coverage.
        line_of_sight: [n] bool, whether one of them meets no wall.
        aod: [paths] float32, angle of departure off broadside, rad.
        delay_s: [paths] float32, from the BS to the UE.
        amplitude: [paths] complex64, at the carrier, its phase included.
    """

    counts: NDArray[np.int64]
    line_of_sight: NDArray[np.bool_]
    aod: NDArray[np.float32]
    delay_s: NDArray[np.float32]
    amplitude: NDArray[np.complex64]


class Tracer:
    """A scene with its base station, ready to trace UEs."""

    def __init__(self, settings: Raytraced, num_threads: int | None = None) -> None:
        """Load the scene.

        Args:
            settings: Scene, BS, and what paths to keep.
            num_threads: Threads of the whole process's Dr.Jit; None for one a core.

        Raises:
            ImportError: If Sionna RT or LLVM is not installed, or LLVM is too old.
        """
        self._settings = settings
        self._dr, self._mi, rt = _load(num_threads)
        # Merged shapes are quicker, but cannot be scaled.
        self._scene: Any = rt.load_scene(getattr(rt.scene, settings.scene), merge_shapes=settings.scale == 1.0)
        if settings.scale != 1.0:
            for shape in self._scene.objects.values():
                centre = self._mi.Point3f(shape.position)
                shape.scaling = self._mi.Vector3f(settings.scale)
                shape.position = self._mi.Point3f(centre * settings.scale)
        self._scene.frequency = settings.carrier_frequency_hz
        antenna = rt.PlanarArray(num_rows=1, num_cols=1, pattern="iso", polarization="V")
        self._scene.tx_array = self._scene.rx_array = antenna
        self._scene.add(rt.Transmitter("bs", position=self._mi.Point3f(*settings.bs_position_m)))
        self.num_ues_at_once = max(1, min(MOST_UES_AT_ONCE, RAYS_TIMES_UES // settings.num_rays))
        for i in range(self.num_ues_at_once):
            self._scene.add(rt.Receiver(f"ue{i}", position=self._mi.Point3f(0.0, 0.0, 0.0)))
        self._solver: Any = rt.PathSolver(deterministic=True)

    def trace(self, positions: NDArray[np.float32]) -> Traced:
        """Return the paths of at most `num_ues_at_once` UEs.

        Args:
            positions: [n, 3] float32, m.
        """
        n = len(positions)
        for i in range(self.num_ues_at_once):  # always as many: another number would be compiled anew
            place = self._mi.Point3f(*positions[min(i, n - 1)].tolist())
            self._dr.make_opaque(place)  # a literal would be compiled into kernels, which are kept as long as we live
            self._scene.receivers[f"ue{i}"].position = place
        try:
            paths = self._solver(
                self._scene,
                max_depth=self._settings.max_depth,
                samples_per_src=self._settings.num_rays,
                specular_reflection=True,
                diffuse_reflection=False,
                refraction=False,
                diffraction=False,
                seed=RAY_SEED,
            )
        except RuntimeError as error:
            if _is_interrupt(error):
                raise KeyboardInterrupt from error
            raise
        return self._strongest(paths, n)

    def _strongest(self, paths: Any, n: int) -> Traced:
        delay_s = paths.tau.numpy()[:n, 0]  # [UE, path]
        if delay_s.shape[1] == 0:
            empty = np.zeros(0, np.float32)
            return Traced(np.zeros(n, np.int64), np.zeros(n, np.bool_), empty, empty, empty.astype(np.complex64))
        field = (paths.a[0].numpy() + 1j * paths.a[1].numpy())[:n, 0, 0, 0].astype(np.complex128)
        usable = paths.valid.numpy()[:n, 0] & (delay_s < self._settings.symbol_s) & (field != 0)
        power = np.where(usable, np.abs(field) ** 2, -1.0)
        order = np.lexsort((delay_s, -power), axis=1)[:, : self._settings.max_paths]  # equally strong ones by delay

        def kept(values: NDArray[Any]) -> NDArray[Any]:
            return np.take_along_axis(values, order, axis=1)

        mask = kept(usable)
        zenith, azimuth = paths.theta_t.numpy()[:n, 0], paths.phi_t.numpy()[:n, 0]
        turned = azimuth.astype(np.float64) - np.radians(self._settings.array_azimuth_deg)
        sine = -np.sin(zenith.astype(np.float64)) * np.cos(turned)
        cycles = self._settings.carrier_frequency_hz * delay_s.astype(np.float64)
        unreflected = (paths.interactions.numpy()[:, :n, 0] == 0).all(axis=0)
        return Traced(
            counts=mask.sum(axis=1),
            line_of_sight=(kept(unreflected) & mask).any(axis=1),
            aod=np.arcsin(kept(sine).clip(-1, 1))[mask].astype(np.float32),
            delay_s=kept(delay_s)[mask],
            amplitude=kept(field * np.exp(-2j * np.pi * cycles))[mask].astype(np.complex64),
        )

    def walls(self) -> NDArray[np.float32]:
        """Return the walls around UEs and BS as seen from above: [n, 4] float32, x and y of both ends, m."""
        ends = []
        for shape in self._scene.objects.values():
            mesh = self._mi.traverse(shape.mi_mesh)
            corners = np.array(mesh["vertex_positions"]).reshape(-1, 3)[np.array(mesh["faces"]).reshape(-1, 3)]
            normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
            upright = np.abs(normal[:, 2]) < LEVEL * np.linalg.norm(normal, axis=1)
            for first, second in ((0, 1), (1, 2), (2, 0)):
                ends.append(np.concatenate([corners[upright, first, :2], corners[upright, second, :2]], axis=1))
        lines = np.concatenate(ends)
        lines = np.concatenate([lines[:, :2], lines[:, 2:]], axis=1)[self._near(lines)]
        turned = (lines[:, 0] > lines[:, 2]) | ((lines[:, 0] == lines[:, 2]) & (lines[:, 1] > lines[:, 3]))
        lines[turned] = lines[turned][:, [2, 3, 0, 1]]
        lines = np.unique(lines.round(1), axis=0)  # the foot and the top of a wall, and its two triangles, are one line
        walls: NDArray[np.float32] = lines[(lines[:, :2] != lines[:, 2:]).any(axis=1)].astype(np.float32)
        return walls

    def _near(self, lines: NDArray[Any]) -> NDArray[np.bool_]:
        area, (x, y, _) = self._settings.area, self._settings.bs_position_m
        low = np.array([min(x, *(r.x_min for r in area)), min(y, *(r.y_min for r in area))]) - MARGIN_M
        high = np.array([max(x, *(r.x_max for r in area)), max(y, *(r.y_max for r in area))]) + MARGIN_M
        middle = (lines[:, :2] + lines[:, 2:]) / 2
        near: NDArray[np.bool_] = ((middle >= low) & (middle <= high)).all(axis=1)
        return near


def _load(num_threads: int | None) -> tuple[Any, Any, Any]:
    """Return the modules drjit, mitsuba and sionna.rt, on the LLVM backend."""
    try:
        import drjit  # noqa: PLC0415  (heavy extra, imported only in this file)
        import mitsuba  # noqa: PLC0415
    except ImportError as error:
        raise ImportError(
            "Ray tracing needs Sionna RT: pip install sionna-rt, or csilink with its extra `raytracing`."
        ) from error
    try:
        mitsuba.set_variant(VARIANT)
        version = drjit.detail.llvm_version()[0]
    except ImportError as error:
        raise ImportError(llvm_sentence("none that Dr.Jit can use")) from error
    require_llvm(version)
    if num_threads is not None:
        drjit.set_thread_count(num_threads)
    import sionna.rt  # noqa: PLC0415  (after the variant: else it looks for a GPU)

    return drjit, mitsuba, sionna.rt


def _is_interrupt(error: BaseException | None) -> bool:
    """Return whether Ctrl-C is behind it: what is raised inside Dr.Jit's loops comes out as the cause of others."""
    return error is not None and (isinstance(error, KeyboardInterrupt) or _is_interrupt(error.__cause__))


def require_llvm(version: int) -> None:
    """Raise unless this major version of LLVM can be relied on.

    Raises:
        ImportError: Saying what to install.

    Example:
        >>> require_llvm(19)
    """
    if version < OLDEST_LLVM:
        raise ImportError(llvm_sentence(str(version)))


def llvm_sentence(found: str) -> str:
    """Return what to install."""
    return (
        f"Ray tracing needs LLVM {OLDEST_LLVM} or newer, found {found}: apt-get install libllvm{OLDEST_LLVM}, and if "
        f"another is found first, set DRJIT_LIBLLVM_PATH to its libLLVM-{OLDEST_LLVM}.so."
    )
