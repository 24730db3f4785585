"""What can be compared with a recording, and how it is run."""
