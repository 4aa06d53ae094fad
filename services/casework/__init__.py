"""Cases and the work in them: who does what for the child, and who coordinates it.

Owns: cases (one child, one or more alerts), tasks (the act-duties that notifier opened), appointments
of case managers with the person's name sealed. Runs no legal clock: due times are notifier's.
Publishes: case_manager.appointed.
Consumes: alert.received, obligation.opened, obligation.met, obligation.breached.
"""
