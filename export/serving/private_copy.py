"""A copy of an export's files that nobody else writes to, for as long as they are served.

Weights are read from their file's pages while a session runs, and a graph when it is first needed. Whoever writes over
these files, or exports to their folder again, would change the model under a session; and whoever truncates them would
kill its process. So a session has files of its own, which are those that were compared with the manifest's hashes. They
are in the folder of temporary files rather than in memory, so that they take no more of it than the export's would.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterable
from pathlib import Path

from export.errors import ExportError
from sharnn_py.scratch import new_folder

_PREFIX = "sharnn-serving-"


class PrivateCopy:
    """Copies of files of `folder`, without those that are not there. Removed when this object is, and at exit."""

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        """Raises `ExportError` if there is no room for them."""
        self.original = folder
        try:
            self.folder, remove = new_folder(Path(tempfile.gettempdir()), _PREFIX)
            weakref.finalize(self, remove)
            for name in names:
                if (folder / name).is_file():
                    shutil.copyfile(folder / name, self.folder / name)
                    (self.folder / name).chmod(0o400)
        except OSError as error:
            raise ExportError(
                f"serving {folder} takes a copy of its files, so that nothing can change them meanwhile, and it cannot "
                f"be written ({error.strerror or error}); set TMPDIR to a folder of a disk with room for them"
            ) from error

    def told_as_original(self, sentence: str) -> str:
        """`sentence` with the original's path in place of the copy's."""
        return sentence.replace(str(self.folder), str(self.original))
