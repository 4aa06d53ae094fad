"""The command: runs all five services in one process, simulated agencies, client verbs.

Stands on top of everything; nothing imports it.
"""
