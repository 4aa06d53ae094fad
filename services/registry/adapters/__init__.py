"""The outside world: seed files, and the service that sends."""
