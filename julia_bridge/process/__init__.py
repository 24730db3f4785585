"""Julia in a process: a child of its own or the caller's, and how values get there and back."""
