"""The life of one delivery: eight states, and the only ways between them (architecture §7).

Deadline, priority and escalation level are not states: a delivery that is late goes on being tried,
and a transmitted one stays open until a person of the agency answers.
"""

from enum import StrEnum


class State(StrEnum):
    """Where a delivery stands."""

    WAITING = "waiting"
    LEASED = "leased"
    TRANSMITTED = "transmitted"
    ACKNOWLEDGED = "acknowledged"
    REJECTED = "rejected"
    DEAD = "dead"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


class Reason(StrEnum):
    """Why a delivery waits; the clock of its duties runs all the same."""

    NEW = "new"
    RETRY = "retry"
    BOUNCED = "bounced"
    UNKNOWN_OUTCOME = "unknown_outcome"
    PULL = "pull"
    REDRIVEN = "redriven"
    """A person let it go again."""
    BREAKER_OPEN = "blocked:breaker_open"
    """Its endpoint fails again and again; held back for a moment, within the legal time."""
    PAUSED = "blocked:paused"
    """An operator or the agency itself paused the endpoint; the agency can still fetch the notice."""
    NO_ROUTE = "blocked:no_route"
    ENDPOINT_REVOKED = "blocked:endpoint_revoked"
    NO_ADAPTER = "blocked:no_adapter"
    CERT = "blocked:cert"
    KEY = "blocked:key"


class Outcome(StrEnum):
    """How one attempt ended; an attempt without an outcome is still under way."""

    ACCEPTED = "accepted"
    """The agency's edge answered 2xx: proof of sending, nothing more."""
    PULLED = "pulled"
    """The authenticated agency fetched the notice from its inbox."""
    REFUSED = "refused"
    """4xx other than 410 and 429: perhaps a deployment of theirs, so it is tried again."""
    REDIRECTED = "redirected"
    """3xx: never followed."""
    THROTTLED = "throttled"
    """429, or 503 with a Retry-After."""
    FAILED = "failed"
    """5xx, or an answer that is no HTTP."""
    UNREACHABLE = "unreachable"
    """No connection: nothing was sent."""
    FORBIDDEN_ADDRESS = "forbidden_address"
    """The name led to an address that we never dial; nothing was sent."""
    NO_ANSWER = "no_answer"
    """Sent, then silence or a reset: they may have it."""
    GONE = "gone"
    """410: the agency says that this endpoint will not come back."""
    UNSENDABLE = "unsendable"
    """The endpoint was no longer usable when the worker looked; nothing was sent."""
    NO_ADAPTER = "no_adapter"
    """No plug-in here knows this kind of endpoint, or it lacks its settings; nothing was sent."""
    NO_CERTIFICATE = "no_certificate"
    """Our own certificate is missing, unreadable or expired: never sent without it."""
    NO_KEY = "no_key"
    """The endpoint has no signing key, or our vault opens neither it nor the address; nothing was sent."""
    LEASE_EXPIRED = "lease_expired"
    """The worker died or stalled: nobody knows whether it was sent."""


class Fact(StrEnum):
    """What can happen to a delivery."""

    CLAIMED = "claimed"
    ACCEPTED = "accepted"
    PULLED = "pulled"
    FAILED = "failed"
    UNANSWERED = "unanswered"
    GONE = "gone"
    LEASE_EXPIRED = "lease_expired"
    ROUTED = "routed"
    ROUTE_LOST = "route_lost"
    SILENT = "silent"
    BOUNCED = "bounced"
    RECEIPT = "receipt"
    REJECTION = "rejection"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    REDRIVEN = "redriven"
    SHUT_OUT = "shut_out"


OPEN = frozenset({State.WAITING, State.LEASED, State.TRANSMITTED})
"""States that must have a wake-up time: such a row cannot be forgotten."""

FINAL = frozenset(State) - OPEN

WITHOUT_A_WAY = frozenset({Reason.PULL, Reason.PAUSED, Reason.ENDPOINT_REVOKED})
"""Its agency is known and had no endpoint to push to when that was looked at."""

RESULT: dict[Outcome, tuple[Fact, Reason | None]] = {
    Outcome.ACCEPTED: (Fact.ACCEPTED, None),
    Outcome.PULLED: (Fact.PULLED, None),
    Outcome.REFUSED: (Fact.FAILED, Reason.RETRY),
    Outcome.REDIRECTED: (Fact.FAILED, Reason.RETRY),
    Outcome.THROTTLED: (Fact.FAILED, Reason.RETRY),
    Outcome.FAILED: (Fact.FAILED, Reason.RETRY),
    Outcome.UNREACHABLE: (Fact.FAILED, Reason.RETRY),
    Outcome.FORBIDDEN_ADDRESS: (Fact.FAILED, Reason.RETRY),
    Outcome.UNSENDABLE: (Fact.FAILED, Reason.RETRY),
    Outcome.NO_ADAPTER: (Fact.FAILED, Reason.NO_ADAPTER),
    Outcome.NO_CERTIFICATE: (Fact.FAILED, Reason.CERT),
    Outcome.NO_KEY: (Fact.FAILED, Reason.KEY),
    Outcome.NO_ANSWER: (Fact.UNANSWERED, Reason.UNKNOWN_OUTCOME),
    Outcome.LEASE_EXPIRED: (Fact.LEASE_EXPIRED, Reason.UNKNOWN_OUTCOME),
    Outcome.GONE: (Fact.GONE, None),
}
"""What an attempt's outcome means for its delivery, and why it waits when it has to."""

_TRANSITIONS: dict[State, dict[Fact, State]] = {
    State.WAITING: {
        Fact.CLAIMED: State.LEASED,
        # An answer that comes after the lease was lost is still an answer: late success wins.
        Fact.ACCEPTED: State.TRANSMITTED,
        Fact.PULLED: State.TRANSMITTED,
        Fact.ROUTED: State.WAITING,
        Fact.ROUTE_LOST: State.WAITING,
        Fact.SILENT: State.WAITING,
        # The agency can answer before our own worker has written that it got through.
        Fact.RECEIPT: State.ACKNOWLEDGED,
        Fact.REJECTION: State.REJECTED,
        Fact.CANCELLED: State.CANCELLED,
        Fact.SUPERSEDED: State.SUPERSEDED,
        Fact.SHUT_OUT: State.CANCELLED,
        Fact.REDRIVEN: State.WAITING,
    },
    State.LEASED: {
        Fact.ACCEPTED: State.TRANSMITTED,
        Fact.PULLED: State.TRANSMITTED,
        Fact.FAILED: State.WAITING,
        Fact.UNANSWERED: State.WAITING,
        Fact.LEASE_EXPIRED: State.WAITING,
        Fact.ROUTE_LOST: State.WAITING,
        Fact.GONE: State.DEAD,
        Fact.RECEIPT: State.ACKNOWLEDGED,
        Fact.REJECTION: State.REJECTED,
        # The fence falls with it: the worker that holds the row must not send any more.
        Fact.SHUT_OUT: State.CANCELLED,
    },
    State.TRANSMITTED: {
        # Nobody waits for the answer of somebody who must not know; that it was sent stays on record.
        Fact.SHUT_OUT: State.CANCELLED,
        Fact.SILENT: State.TRANSMITTED,
        # A relay took it and could not bring it: what counted as proof of sending was none.
        Fact.BOUNCED: State.WAITING,
        Fact.GONE: State.DEAD,
        Fact.RECEIPT: State.ACKNOWLEDGED,
        Fact.REJECTION: State.REJECTED,
    },
    # Dead stops the machine, not the agency: it can still fetch the notice or answer it.
    State.DEAD: {
        Fact.ACCEPTED: State.TRANSMITTED,
        Fact.PULLED: State.TRANSMITTED,
        Fact.RECEIPT: State.ACKNOWLEDGED,
        Fact.REJECTION: State.REJECTED,
        Fact.REDRIVEN: State.WAITING,
        Fact.SHUT_OUT: State.CANCELLED,
    },
    State.ACKNOWLEDGED: {},
    State.REJECTED: {},
    State.CANCELLED: {},
    State.SUPERSEDED: {},
}


def step(state: State, fact: Fact) -> State | None:
    """The state after ``fact``, or ``None`` when that cannot happen in ``state``.

    ``CANCELLED`` and ``SUPERSEDED`` are possible only while nothing was sent for sure
    (architecture §7): a leased row first comes back to waiting.
    """
    return _TRANSITIONS[state].get(fact)


def states_before(fact: Fact) -> tuple[State, ...]:
    """Every state in which ``fact`` is possible, in the order of the table: the guard of an update."""
    return tuple(state for state, ways in _TRANSITIONS.items() if fact in ways)
