"""From registers to a capture table: read and pseudonymise, link, measure the links, tabulate."""

from hiddenpop.keys import create_key
from hiddenpop.registers.fellegi_sunter import FellegiSunter
from hiddenpop.registers.linkage import KeyLinkage, Linkage
from hiddenpop.registers.links import Links
from hiddenpop.registers.registrations import Registrations

__all__ = ["FellegiSunter", "KeyLinkage", "Linkage", "Links", "Registrations", "create_key"]
