"""`python -m tests.bench.soak`: a server under load and faults, for minutes, held against sessions alone."""
