"""The planted faults, by what they break."""
