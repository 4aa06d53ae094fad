"""Pure decisions: law and clocks, deliveries and their pace. Standard library and ``holidays`` only; the time is given."""
