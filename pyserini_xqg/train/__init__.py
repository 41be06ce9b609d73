"""Training of the models that the other stages use.

For a generator ``pairs`` reads queries and the passages that answer them, ``settings`` says how
training goes, ``seq2seq`` sets transformers' trainer up for it, and ``generator`` runs that into a
folder; ``losses`` shows how it went.

For a retriever ``examples`` reads queries and passages, ``negatives`` finds more of the latter,
``retriever_settings`` says how training goes, ``draws`` what each batch holds, ``biencoder`` sets
sentence-transformers' trainer up for it, ``dev_scores`` is the score on dev data, and ``retriever``
runs it all into a folder.

Both share ``progress``, which shows how it goes, and ``resume``, which takes it up again.
"""
