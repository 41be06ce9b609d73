"""From topics to runs."""
