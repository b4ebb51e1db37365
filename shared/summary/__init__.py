"""Reports in sum: `totals` (sums) -> `figures` (metrics with intervals) -> `cells` (the columns of a table)."""

from shared.summary.cells import Cell, group_table
from shared.summary.figures import DownlinkFigures, Figures, Group, Mean, Nmse, Proportion, SubbandSgcs
from shared.summary.totals import DEFAULT_GROUP_BY, DownlinkTotals, GroupColumn, GroupTotals, SubbandTotals

__all__ = [
    "DEFAULT_GROUP_BY",
    "Cell",
    "DownlinkFigures",
    "DownlinkTotals",
    "Figures",
    "Group",
    "GroupColumn",
    "GroupTotals",
    "Mean",
    "Nmse",
    "Proportion",
    "SubbandSgcs",
    "SubbandTotals",
    "group_table",
]
