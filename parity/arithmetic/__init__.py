"""What becomes of every operation of torch in a run: rounding it at random, or looking on."""
