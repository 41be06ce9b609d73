"""Training of the models that the other stages use.

``pairs`` reads queries and the passages that answer them, ``settings`` says how training goes,
``seq2seq`` sets transformers' trainer up for it, ``generator`` runs that into a folder that can be
taken up again; ``progress`` and ``losses`` show how it goes and went.
"""
