"""The one door to the outside: who calls, whether they may, and which service answers.

Owns: clients, revocations, console sessions and sign-in codes. Nothing about a child, nothing about an alert.
Publishes: nothing.
Consumes: nothing. It asks intake, notifier, casework and registry over HTTP.
"""
