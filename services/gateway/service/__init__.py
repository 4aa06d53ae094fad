"""What the gateway can do. One function, one transaction, opened by whichever door called."""
