"""Tables of intake. Core tables: one alert is a handful of inserts on the hot path.

Every column says what it may hold: ``public`` codes, ids and times; ``pseudonym`` keyed tokens and
opaque ids; ``sealed`` the child's; ``vault`` the reporter's. A column without a class fails a test.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Uuid,
    text,
)
from sqlmodel.sql.sqltypes import UTCDateTime

from common.db import NAMING, Json
from common.outbox import add_tables

METADATA: Final = MetaData(naming_convention=NAMING)
PUBLIC: Final = {"class": "public"}
PSEUDONYM: Final = {"class": "pseudonym"}
SEALED: Final = {"class": "sealed"}
VAULT: Final = {"class": "vault"}


def _column(name: str, kind: Any, info: dict[str, str], *, nullable: bool = False, key: bool = False) -> Any:
    return Column(name, kind, nullable=nullable, primary_key=key, info=info)


alerts = Table(
    "alerts",
    METADATA,
    _column("id", Uuid, PUBLIC, key=True),
    # The reporter's pairwise id: a keyed token, so this row does not say who reported.
    _column("handle", Uuid, PSEUDONYM),
    _column("number", String(11), PUBLIC),
    _column("received_at", UTCDateTime, PUBLIC),
    _column("is_iin_doubtful", Boolean, PUBLIC),
    _column("facts", Json, PUBLIC),
    Index("uq_alerts_handle", "handle", unique=True),
    Index("uq_alerts_number", "number", unique=True),
)

child_records = Table(
    "child_records",
    METADATA,
    _column("alert_id", Uuid, PUBLIC, key=True),
    _column("version", Integer, PUBLIC),
    _column("sealed", LargeBinary, SEALED),
    _column("wrapped_key", LargeBinary, SEALED),
)

reporter_vault = Table(
    "reporter_vault",
    METADATA,
    _column("alert_id", Uuid, PUBLIC, key=True),
    _column("sealed", LargeBinary, VAULT),
)

repeat_keys = Table(
    "repeat_keys",
    METADATA,
    _column("token", LargeBinary(32), PSEUDONYM, key=True),
    _column("alert_id", Uuid, PUBLIC),
    _column("body_digest", LargeBinary(32), PSEUDONYM),
    # Only idempotency keys are forgotten; a reference of the sender's is for good.
    _column("forget_at", UTCDateTime, PUBLIC, nullable=True),
)
Index(
    "ix_repeat_keys_forget_at",
    repeat_keys.c.forget_at,
    sqlite_where=text("forget_at IS NOT NULL"),
    postgresql_where=text("forget_at IS NOT NULL"),
)

receipt_codes = Table(
    "receipt_codes",
    METADATA,
    _column("token", LargeBinary(32), PSEUDONYM, key=True),
    _column("alert_id", Uuid, PUBLIC),
)

report_traces = Table(
    "report_traces",
    METADATA,
    _column("alert_id", Uuid, PUBLIC, key=True),
    # Whence it came and what it says, as keyed tokens that are forgotten within the hour.
    _column("source", LargeBinary(16), PSEUDONYM),
    _column("words", LargeBinary(16), PSEUDONYM),
    _column("received_at", UTCDateTime, PUBLIC),
    Index("ix_report_traces_source_received_at", "source", "received_at"),
    Index("ix_report_traces_words_received_at", "words", "received_at"),
    Index("ix_report_traces_received_at", "received_at"),
)

match_tokens = Table(
    "match_tokens",
    METADATA,
    _column("token", LargeBinary(16), PSEUDONYM, key=True),
    _column("alert_id", Uuid, PUBLIC, key=True),
    _column("kind", String(4), PUBLIC),
    Index("ix_match_tokens_alert_id", "alert_id"),
)

verdicts = Table(
    "match_verdicts",
    METADATA,
    # What a person found of a match, as notifier told it; the lesser id first.
    _column("low_id", Uuid, PUBLIC, key=True),
    _column("high_id", Uuid, PUBLIC, key=True),
    _column("state", String(6), PUBLIC),
    # Of two tellings the greater counts.
    _column("no", BigInteger, PUBLIC),
)

corrections = Table(
    "corrections",
    METADATA,
    _column("alert_id", Uuid, PUBLIC, key=True),
    # The version of the whole record; the first one lies in ``child_records`` and stays.
    _column("no", Integer, PUBLIC, key=True),
    _column("facts", Json, PUBLIC),
    _column("is_iin_doubtful", Boolean, PUBLIC),
    _column("version", Integer, PUBLIC),
    _column("sealed", LargeBinary, SEALED),
    _column("wrapped_key", LargeBinary, SEALED),
    # Why: the reporter's words.
    _column("reason", LargeBinary, VAULT),
    # Keyed digest of what was told: the same correction twice is one.
    _column("body_digest", LargeBinary(32), PSEUDONYM),
    _column("corrected_at", UTCDateTime, PUBLIC),
)

withdrawals = Table(
    "withdrawals",
    METADATA,
    _column("alert_id", Uuid, PUBLIC, key=True),
    _column("reason", LargeBinary, VAULT),
    _column("withdrawn_at", UTCDateTime, PUBLIC),
)

denials = Table(
    "denials",
    METADATA,
    _column("alert_id", Uuid, PUBLIC, key=True),
    _column("token", LargeBinary(16), PSEUDONYM, key=True),
    # Null: it came with the alert. In force unless lifted after it was raised last.
    _column("raised_at", UTCDateTime, PUBLIC, nullable=True),
    _column("lifted_at", UTCDateTime, PUBLIC, nullable=True),
)

openings = Table(
    "openings",
    METADATA,
    _column("id", Uuid, PUBLIC, key=True),
    _column("alert_id", Uuid, PUBLIC),
    _column("delivery_id", Uuid, PUBLIC),
    # The reader by its pairwise id and the subject of its token: who opened, without a name.
    _column("handle", Uuid, PSEUDONYM),
    _column("subject", String(200), PSEUDONYM),
    _column("groups", Json, PUBLIC),
    _column("opened_at", UTCDateTime, PUBLIC),
    Index("ix_openings_alert_id", "alert_id"),
    Index("ix_openings_handle", "handle"),
)

add_tables(METADATA)
