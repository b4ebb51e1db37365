r"""Orthogonal matching pursuit, for a batch of vectors in one dictionary.

    r = w;  s times:  j = argmax |a_j^H r|;  q = a_j made orthogonal to the atoms so far;  r = r - (q^H r) q
    at last  x = R^-1 Q^H w,  the least squares on the atoms chosen

Atoms have unit length. The orthogonal basis grows by one vector a step, made orthogonal twice, since once leaves errors
as large as the atoms are alike (L. Giraud et al., Numer. Math. 101, 2005).

Source: J. A. Tropp, A. C. Gilbert, "Signal recovery from random measurements via orthogonal matching pursuit", IEEE
Trans. Inf. Theory 53(12), 2007.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from shared.errors import InvalidArgumentError


@dataclass(frozen=True, slots=True)
class SparseCodes:
    """Vectors as a few atoms each.

    Attributes:
        atoms: [batch, s] int64, columns of the dictionary, in the order of choice.
        values: [batch, s] float64 or complex128, of each.
    """

    atoms: Tensor
    values: Tensor


def gaussian_dictionary(length: int, num_atoms: int, seed: int) -> Tensor:
    """Draw a dictionary, [length, num_atoms] float64, its columns of unit length, the same wherever it is drawn."""
    generator = torch.Generator().manual_seed(seed)
    atoms = torch.randn(length, num_atoms, generator=generator, dtype=torch.float64)
    return atoms.div(atoms.norm(dim=0))


def orthogonal_matching_pursuit(vectors: Tensor, dictionary: Tensor, num_nonzero: int) -> SparseCodes:
    """Code each vector as ``num_nonzero`` atoms.

    Args:
        vectors: [batch, length] float64 or complex128.
        dictionary: [length, num_atoms] of the same type, columns of unit length.
        num_nonzero: s, at most the length and the number of atoms.

    Raises:
        InvalidArgumentError: If there are not so many.

    Example:
        >>> codes = orthogonal_matching_pursuit(torch.tensor([[0.0, 3.0]]).double(), torch.eye(2).double(), 1)
        >>> codes.atoms.tolist(), codes.values.tolist()
        ([[1]], [[3.0]])
    """
    length, num_atoms = dictionary.shape
    if not 1 <= num_nonzero <= min(length, num_atoms):
        raise InvalidArgumentError(f"`num_nonzero` must be in [1, {min(length, num_atoms)}]; got {num_nonzero}.")
    batch, device, conjugate = len(vectors), vectors.device, dictionary.conj().resolve_conj()
    basis = vectors.new_zeros(batch, num_nonzero, length)
    chosen = torch.zeros(batch, num_nonzero, dtype=torch.int64, device=device)
    taken = torch.zeros(batch, num_atoms, dtype=torch.bool, device=device)
    residual = vectors.clone()
    for step in range(num_nonzero):
        match = (residual @ conjugate).abs().masked_fill(taken, -1)
        atom = match.argmax(dim=1)
        chosen[:, step] = atom
        taken[torch.arange(batch, device=device), atom] = True
        q, before = dictionary[:, atom].mT, basis[:, :step]
        for _ in range(2):
            q = q - ((before.conj() @ q[:, :, None]).mT @ before)[:, 0]
        q = q / q.norm(dim=1, keepdim=True).clamp_min(torch.finfo(q.dtype).tiny)
        basis[:, step] = q
        residual = residual - (q.conj() * residual).sum(dim=1, keepdim=True) * q
    triangle = basis.conj() @ dictionary[:, chosen.flatten()].mT.reshape(batch, num_nonzero, length).mT
    heights = basis.conj() @ vectors[:, :, None]
    values = torch.linalg.solve_triangular(triangle.triu(), heights, upper=True)[:, :, 0]
    return SparseCodes(chosen, values)


def from_atoms(codes: SparseCodes, dictionary: Tensor) -> Tensor:
    """Return the vectors of some codes, A x: [batch, length], of their type."""
    return torch.einsum("bs,lbs->bl", codes.values, dictionary[:, codes.atoms])
