"""The embedding store: vectors on disk."""
