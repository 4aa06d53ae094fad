"""Decides who must be told and by when, tells them, and keeps the clock of every duty.

Owns: law editions, working-day calendar, obligations and their clocks, deliveries, attempts, notices,
receipts, escalations, endpoint signing keys; a copy of the registry.
Publishes: ``obligation.opened/met/breached``, ``delivery.transmitted/opened/acknowledged/failed``,
``escalation.raised``.
Consumes: ``alert.received``, ``content.opened``, every fact of casework, ``agency.registered/retired``,
``endpoint.registered/revoked``, ``body.declared_absent``.
Never sees a name, an address or a narrative.
"""
