"""Cases and the work in them: who does what for the child, and who coordinates it.

Owns: cases (one child, one or more alerts), tasks (the act-duties that notifier opened), appointments
of case managers with the person's name sealed, records of what was done (signed, sealed, never edited).
Runs no legal clock: due times are notifier's.
Publishes: case_manager.appointed, visit.recorded, assessment.signed, plan.approved, commission.decided,
parents.informed, parents.not_informed, case_fact.recorded.
Consumes: alert.received, obligation.opened, obligation.met, obligation.breached, conflict.raised,
conflict.lowered.
"""
