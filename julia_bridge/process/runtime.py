"""Julia inside this Python process. The one module of the project that imports juliacall."""

from pathlib import Path


class Runtime:
    """A started Julia with wire.jl loaded. Making one takes seconds; a process has one Julia, whoever asks for it."""

    def __init__(self) -> None:
        import juliacall  # type: ignore[import-not-found]

        main = juliacall.Main
        main.include(str(Path(__file__).with_name("wire.jl")))
        self.versions: dict[str, str] = {
            "julia": str(main.VERSION),
            "juliacall": juliacall.__version__,
            "PythonCall": str(juliacall.PythonCall.VERSION),
        }
        self._run = main.SharnnBridge.run
        self._write_answer = main.SharnnBridge.write_answer

    def run(self, request: int) -> int:
        """Do what the message at the address `request` asks; returns the bytes that the answer takes."""
        return int(self._run(request))

    def write_answer(self, address: int) -> None:
        """Write the answer of the last `run` to memory of at least the bytes it takes."""
        self._write_answer(address)
