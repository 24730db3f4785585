"""`julia` against `paper` on the same weights, the whole difference attributed to the rows of the ledger."""
