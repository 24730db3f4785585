"""The command `sharnn train` as a module that torchrun starts: `torchrun ... -m sharnn_py.train TEXT -o CHECKPOINT`."""

import sys

from sharnn_py.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
