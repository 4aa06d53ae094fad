"""Intake: turns what came in into alerts, seals it, and alone serves the content behind a notice.

Owns: alerts (immutable facts), every version of the sealed child record, the reporter vault, match tokens,
the deny list, the journal of openings.
Publishes: ``alert.received``, ``alert.corrected``, ``alert.withdrawn``, ``content.opened``.
Consumes: ``conflict.raised``, ``conflict.lowered``.
"""
