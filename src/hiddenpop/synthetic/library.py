"""The standard scenarios by name."""

from hiddenpop._cells import unknown_name
from hiddenpop._front_door import front_door
from hiddenpop.synthetic.fair import FAIR
from hiddenpop.synthetic.hard import HARD
from hiddenpop.synthetic.scenario import Scenario

__all__ = ["LIBRARY", "scenario"]

LIBRARY: dict[str, Scenario] = {entry.name: entry for entry in (*FAIR, *HARD)}
"""Every standard scenario by its name."""


@front_door
def scenario(name: str) -> Scenario:
    """Give a standard scenario.

    Parameters
    ----------
    name : str
        A key of `LIBRARY`.

    Returns
    -------
    Scenario

    Raises
    ------
    UnknownNameError
        For a name that is not there.

    Examples
    --------
    >>> scenario("independent-two").truth
    4000
    """
    if name not in LIBRARY:
        raise unknown_name("scenario", name, LIBRARY)
    return LIBRARY[name]
