"""Pure decisions: law and clocks, deliveries and their pace. The time is given, nothing is read or stored."""
