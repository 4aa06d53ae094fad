"""What an alert is, in plain values: no I/O, no framework, nothing of common."""
