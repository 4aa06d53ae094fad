"""What notifier can do: one use case a function, inside the transaction of the door that called."""
