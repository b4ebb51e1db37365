"""The figures of a group as the columns of a table.

The columns are the fields of the figures, those of an object within joined by "_" (`nmse_mean_db`), those of a downlink
and of the SGCS in a subband after their name (`downlink_10db_bler_value`, `sgcs_layer1_subband0of4_value`).
"""

from collections.abc import Iterator, Sequence
from typing import get_args

from pydantic import BaseModel

from shared.summary.figures import DownlinkFigures, Group, SubbandSgcs
from shared.summary.totals import GroupColumn

Cell = str | int | float | None
_OF_DOWNLINK = [name for name in DownlinkFigures.model_fields if name not in ("snr_db", "num_ue", "mcs")]


def group_table(groups: Sequence[Group], group_by: Sequence[GroupColumn]) -> tuple[list[str], list[list[Cell]]]:
    """Return the columns and one row a group; None is an empty cell.

    Args:
        groups: The groups.
        group_by: The keys that are shown.
    """
    keys = get_args(GroupColumn)
    lists = ("downlink", "subbands")
    shown = [name for name in Group.model_fields if name not in lists and (name in group_by or name not in keys)]
    downlinks = {one.name: (one.snr_db, one.num_ue, one.mcs or 0) for group in groups for one in group.downlink}
    subbands = {one.name: (one.num_subbands, one.layer, one.subband) for group in groups for one in group.subbands}

    def row(group: Group | None) -> Iterator[tuple[str, Cell]]:
        yield from _cells(Group, group, shown)
        of_downlink = {one.name: one for one in group.downlink} if group else {}
        for name in sorted(downlinks, key=downlinks.__getitem__):
            for field, cell in _cells(DownlinkFigures, of_downlink.get(name), _OF_DOWNLINK):
                yield f"{name}_{field}", cell
        of_subband = {one.name: one for one in group.subbands} if group else {}
        for name in sorted(subbands, key=subbands.__getitem__):
            for field, cell in _cells(SubbandSgcs, of_subband.get(name), ["num_reports", "sgcs"]):
                yield f"{name}_{field.removeprefix('sgcs_')}", cell

    return [name for name, _ in row(None)], [[cell for _, cell in row(group)] for group in groups]


def _cells(model: type[BaseModel], value: BaseModel | None, shown: Sequence[str]) -> Iterator[tuple[str, Cell]]:
    """Yield the fields of figures, those of an object within after its name."""
    for name in shown:
        annotation, inner = model.model_fields[name].annotation, getattr(value, name, None)
        kinds = (annotation, *get_args(annotation))
        part = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if part is None:
            yield name, inner
        else:
            yield from ((f"{name}_{field}", cell) for field, cell in _cells(part, inner, list(part.model_fields)))
