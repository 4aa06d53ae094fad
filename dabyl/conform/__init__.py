"""``dabyl conform``: plays Dabyl against an agency's endpoint and says what is wrong, in its words."""
