"""The command `sharnn train` as a module that torchrun starts: `torchrun ... -m sharnn_py.train TEXT -o CHECKPOINT`.

To import, this name is the function `sharnn_py.train`, before and after whoever walks through all modules.
"""

import sys

if __name__ == "__main__":
    from sharnn_py.cli import main

    main(["train", *sys.argv[1:]])
else:
    from sharnn_py.training import train

    sys.modules[__name__] = train  # type: ignore[assignment]
