"""From passages and generated queries to an embedding store."""
