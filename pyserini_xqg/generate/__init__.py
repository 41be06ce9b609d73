"""Queries for passages, in any language, by a generator such as the paper's mT5.

``prompts`` says what a generator is asked, ``sampling`` how its answers are drawn, ``t5`` and
``chat`` how the two kinds of model take a step, ``decoding`` how steps become answers, and which
tokens a language needs. ``generator`` puts these together for some passages, ``devices`` for
several processes, ``corpus`` for a file of any length; ``estimate`` says what that will take.
``openai`` asks a chat server instead, and ``served`` does so for a file of any length.
"""
