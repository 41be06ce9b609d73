"""What a run is worth: TREC measures, XOR-Retrieve, and how far chance could have moved them."""
