"""The outside world of intake: the key ring."""
