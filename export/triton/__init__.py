"""An export as models of Triton's Python back end: what `sharnn export --triton` writes, and what runs there."""
