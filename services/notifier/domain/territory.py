"""Where a territory lies: KATO codes are a tree by their digits, ISO 3166-2 names its regions.

KATO (national classifier NK RK 11): two digits region, two district, two rural district, three
settlement; a level that is not used is zeros. The first two digits equal the number of ISO 3166-2:KZ.
"""

import re
from functools import lru_cache

COUNTRY = "KZ"
_REGION = re.compile(r"KZ-\d\d")
_KATO = re.compile(r"\d{9}")


@lru_cache(4096)
def chain(territory: str) -> tuple[str, ...]:
    """The territory and everything above it, nearest first, ending with the whole country.

    A code of neither form stands alone under the country.
    """
    if territory == COUNTRY:
        return (COUNTRY,)
    if _REGION.fullmatch(territory):
        return (territory, COUNTRY)
    if not _KATO.fullmatch(territory):
        return (territory, COUNTRY)
    levels = [territory]
    for kept in (6, 4):
        above = territory[:kept].ljust(9, "0")
        if above != levels[-1]:
            levels.append(above)
    region_kato = territory[:2].ljust(9, "0")
    if levels[-1] != region_kato:
        levels.append(region_kato)
    return (*levels, f"{COUNTRY}-{territory[:2]}", COUNTRY)


def region_of(territory: str) -> str:
    """The ISO 3166-2 code of the region that the territory lies in, or is."""
    return next((level for level in chain(territory) if _REGION.fullmatch(level)), territory)
