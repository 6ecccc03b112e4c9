"""A Dutch-like world of registers on human trafficking, person by person, with a known truth."""

from hiddenpop.synthetic.world.draw import World, draw_world, read_world, write_world
from hiddenpop.synthetic.world.reading import read_settings
from hiddenpop.synthetic.world.settings import WorldSettings
from hiddenpop.synthetic.world.tables import world_table, world_truth

__all__ = [
    "World",
    "WorldSettings",
    "draw_world",
    "read_settings",
    "read_world",
    "world_table",
    "world_truth",
    "write_world",
]
