"""The outside world: keys."""
