"""The real parts of the test suite: RabbitMQ and PostgreSQL, found or started, never skipped."""
