"""Pure rules: how copies of a duty become one task, and which body coordinates."""
