"""Training of the models that the other stages use.

For a generator ``pairs`` reads queries and the passages that answer them, ``settings`` says how
training goes, and ``generator`` sets transformers' trainer up for it and runs that into a folder.

For a retriever ``examples`` reads queries and passages, ``negatives`` finds more of the latter,
``retriever_settings`` says how training goes, ``draws`` what each batch holds, ``biencoder`` sets
sentence-transformers' trainer up for it, and ``retriever`` runs it all into a folder, with its
scores on dev data.

``adaptation`` has the commands that make a model ready for a language: ``vocabulary`` extends its
tokenizer (``pieces`` are learnt, and ``extension`` puts them in), ``language_model`` lets it guess
masked tokens; ``examples`` reads the texts of both.

``tiny`` makes what a table of token vectors is trained from (``tiny_pairs``), for
those who have XOR-TyDi QA and no pre-trained model.

All trainings share ``progress``, which shows how it goes and went, and ``resume``, which takes it
up again.
"""
