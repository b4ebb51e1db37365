"""What a data set holds, in numbers."""

from shared.channels import load_channels


def describe(data: str) -> tuple[dict[str, object], list[float]]:
    """Return the card of a data set and two statistics of its channels.

    Args:
        data: Name of a shipped data set, or a file.

    Returns:
        The card's fields (or name, digest and shape of a file without one) with ``energy_of_strongest``, mean share of
        a channel's energy in its 1, 4, 16, 64, 256 strongest entries; and the power of each column of the last axis,
        [num_subcarriers] dB of the total.
    """
    channels = load_channels(data)
    power = channels.h.abs().square().double()
    profile = power.sum(dim=(0, 1, 2)) / power.sum()
    strongest = (power.flatten(1).sort(dim=1, descending=True).values.cumsum(dim=1) / channels.shape.num_complex).mean(
        dim=0
    )
    card: dict[str, object] = (
        channels.card.model_dump()
        if channels.card
        else {"name": channels.name, "sha256": channels.sha256, "num_channels": len(channels.h)}
        | {"domain": channels.shape.domain, "shape": list(channels.shape.dims)}
    )
    shares = {str(n): round(float(strongest[n - 1]), 4) for n in (1, 4, 16, 64, 256) if n <= channels.shape.num_complex}
    profile_db = [round(value, 2) for value in (10 * profile.clamp(min=1e-12).log10()).tolist()]
    return card | {"energy_of_strongest": shares}, profile_db
