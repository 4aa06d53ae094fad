"""Intake: turns what came in into alerts, seals it, and alone serves the content behind a notice.

Owns: alerts (immutable facts), the sealed child record, the reporter vault, match tokens, the deny list,
the journal of openings.
Publishes: ``alert.received``, ``content.opened``.
Consumes: ``conflict.raised``, ``conflict.lowered``.
"""
