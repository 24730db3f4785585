"""Finding SHA-RNN.jl's own `src/model.jl`, and making sure that it is the version the project speaks of."""

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from pathlib import Path

from julia_bridge.install.folder import folder
from sharnn_py.errors import SharnnError
from sharnn_py.files import write_bytes

COMMIT = "ebd62afb7be69e13e6e19886d7311b93773888fb"
MODEL = Path("src", "model.jl")
SHA256 = "835b720ca95ccb62875723cc5aea3d6781a63fe70e12578fd3c86caa5cf7f111"
VARIABLE = "SHARNN_JL_PATH"
URL = f"https://raw.githubusercontent.com/alisafaya/SHA-RNN.jl/{COMMIT}/src/model.jl"

FETCH_LIMIT = 30.0
"""Seconds that the repository may take to answer."""


class UpstreamError(SharnnError):
    """SHA-RNN.jl's source cannot be had, or it is not the version expected."""


def model_source(checkout: str | Path | None = None) -> Path:
    """The path of SHA-RNN.jl's `src/model.jl` at commit ebd62af, verified by its sha256.

    It is taken from `checkout`, else from the checkout that the environment variable SHARNN_JL_PATH names, else from
    the bridge's folder, into which it is fetched from the public repository the first time. Raises `UpstreamError`.
    """
    given = checkout or os.environ.get(VARIABLE)
    if given:
        source = Path(given).expanduser().absolute() / MODEL
        if not source.is_file():
            raise UpstreamError(f"there is no {source}; give the root of a checkout of SHA-RNN.jl at {COMMIT[:7]}")
        _verify(source.read_bytes(), str(source))
        return source
    cached = folder() / f"SHA-RNN.jl-{COMMIT[:7]}" / MODEL
    if not (cached.is_file() and _sha256(cached.read_bytes()) == SHA256):
        source_text = _fetch()
        cached.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(cached, source_text)
    return cached


def _fetch() -> bytes:
    try:
        with urllib.request.urlopen(URL, timeout=FETCH_LIMIT) as answer:
            text: bytes = answer.read()
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise UpstreamError(
            f"SHA-RNN.jl's source could not be fetched from {URL}: {error}\nGive the path of a checkout at commit "
            f"{COMMIT[:7]}, for instance in the environment variable {VARIABLE}, or run the reference instead."
        ) from error
    _verify(text, URL)
    return text


def _verify(text: bytes, where: str) -> None:
    found = _sha256(text)
    if found != SHA256:
        raise UpstreamError(
            f"{where} is not SHA-RNN.jl's model.jl at commit {COMMIT[:7]}\n  expected sha256 {SHA256}\n"
            f"  found    sha256 {found}\nCheck out that commit, without local changes or converted line ends."
        )


def _sha256(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
