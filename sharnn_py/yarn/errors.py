"""What can be wrong with an index, for the person who asked for it."""

from sharnn_py.errors import SharnnError


class IndexFolderError(SharnnError):
    """An index that is missing, damaged, busy, unfinished, or of another model or text."""
