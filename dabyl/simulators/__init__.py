"""Simulated agencies: real HTTP servers and clients of the public surface, in a process of their own.

Behaviours: *honest* stores, answers 200, opens the content, signs a receipt · *slow* the same after a
pause · *flaky* fails twice (500, reset) and is honest then · *dead* has no server · *lying* answers 200
and does nothing more · *pull* has no endpoint and asks its inbox.
"""
