"""The outside world of the gateway: services behind it, an external issuer, a trace store."""
