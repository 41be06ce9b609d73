"""From an embedding store to an index, and an index opened."""
