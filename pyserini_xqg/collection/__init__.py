"""What comes in: passages, queries, topics, judgments and runs, and how they are joined."""
