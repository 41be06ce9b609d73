"""Whether generated queries help on a collection, and the indexes that serve it best."""
