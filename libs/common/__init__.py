"""Mechanism that every service stands on. Names no domain noun (contracts excepted), decides nothing."""
