"""Conditions with full commands, published figures, and what came out here."""
