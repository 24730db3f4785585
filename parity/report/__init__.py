"""Reports, all made from `parity.results` alone."""
