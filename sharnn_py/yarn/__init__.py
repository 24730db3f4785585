"""Search by a model's sense of a text: phrases as vectors of hidden states, in a vector database.

No torch is loaded here: the sessions that read a text are opened by the caller, on any back end.
"""
