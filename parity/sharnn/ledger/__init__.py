"""The ledger of known differences between the two programs."""
