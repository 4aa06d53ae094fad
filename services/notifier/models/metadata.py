"""One metadata for all tables of this service."""

from sqlalchemy import MetaData

from common.db import NAMING

METADATA = MetaData(naming_convention=NAMING)
