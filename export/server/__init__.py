"""`sharnn serve`: an engine behind HTTP, on one machine."""
