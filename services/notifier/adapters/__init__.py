"""The outside world: agencies' webhooks, and the registry when its copy is rebuilt."""
