"""All SQL of the notifier, one module per noun. Core statements; the same path on SQLite and PostgreSQL."""
