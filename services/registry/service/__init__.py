"""What the register can do. One function, one transaction, opened by whichever door called."""

from registry.repository import list_absences, list_endpoints, list_returns, list_territories
from registry.service.absences import declare_absence
from registry.service.agencies import (
    Effect,
    Registered,
    find_agency,
    get_agency,
    register_agencies,
    retire_agency,
    with_mandates,
)
from registry.service.endpoints import get_endpoint, register_endpoint, revoke_endpoint
from registry.service.holders import Listing, list_agencies, resolve_holder
from registry.service.returns import submit_return
from registry.service.seeding import Seed, load_seed
from registry.service.snapshot import list_facts

__all__ = [
    "Effect",
    "Listing",
    "Registered",
    "Seed",
    "declare_absence",
    "find_agency",
    "get_agency",
    "get_endpoint",
    "list_absences",
    "list_agencies",
    "list_endpoints",
    "list_facts",
    "list_returns",
    "list_territories",
    "load_seed",
    "register_agencies",
    "register_endpoint",
    "resolve_holder",
    "retire_agency",
    "revoke_endpoint",
    "submit_return",
    "with_mandates",
]
