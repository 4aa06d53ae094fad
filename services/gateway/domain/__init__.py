"""Pure decisions of the gateway: which service answers, who a token speaks for, how a fan-out is drawn."""
