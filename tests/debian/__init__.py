"""What the tests and the maintainers take from Debian's archive: the pins of Julia, and a Chromium."""
