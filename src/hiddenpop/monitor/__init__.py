"""What a monitor reports of an estimate by strata: subgroups, rates per residents, years, ranks, and the UN indicator.

Every function takes an `Estimate` of an estimator that models strata and gives a record with a frame, a text and a
plot.
"""

from hiddenpop.monitor.ranks import Ranks, ranks
from hiddenpop.monitor.rates import Rates, rates
from hiddenpop.monitor.subgroups import Subgroups, subgroup, subgroups
from hiddenpop.monitor.trend import Trend, trend
from hiddenpop.monitor.trend_by_list import TrendByList, trend_by_list
from hiddenpop.monitor.un_indicator import UNIndicator, un_indicator

__all__ = [
    "Ranks",
    "Rates",
    "Subgroups",
    "Trend",
    "TrendByList",
    "UNIndicator",
    "ranks",
    "rates",
    "subgroup",
    "subgroups",
    "trend",
    "trend_by_list",
    "un_indicator",
]
