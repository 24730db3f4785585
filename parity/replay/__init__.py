"""The port as a subject of the suite: replaying what was recorded of either program."""
