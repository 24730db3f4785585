"""How likely tokens were, as clients of such servers read it."""

from __future__ import annotations

from collections.abc import Iterable

from export.server.runs import Likely
from export.server.wire import LogProbs
from sharnn_py.text import NEWLINE, Decoder, of_bytes
from sharnn_py.vocabulary import Vocabulary

_UNKNOWN = 1


class Spelling:
    """Gives the tokens of one text with their places in it."""

    def __init__(self, vocabulary: Vocabulary, after: int) -> None:
        """The text begins after the id `after`."""
        self._vocabulary, self._of_bytes = vocabulary, of_bytes(vocabulary)
        self._decoder, self._offset = Decoder(vocabulary, after), 0

    def logprobs(self, tokens: Iterable[Likely]) -> LogProbs:
        """The entries of the next tokens; an offset is the number of characters that are complete before a token."""
        found = LogProbs(tokens=[], token_logprobs=[], top_logprobs=[], text_offset=[])
        for likely in tokens:
            found.tokens.append(self.spelled(likely.token))
            found.token_logprobs.append(likely.logprob)
            top = {self.spelled(token): logprob for token, logprob in likely.top}
            found.top_logprobs.append(None if likely.logprob is None else top)
            found.text_offset.append(self._offset)
            self._offset += len(self._decoder.feed(likely.token))
        return found

    def spelled(self, token: int) -> str:
        """A token as text. A byte beyond ASCII is no text by itself: it is written bytes:\\xe2, as by other servers."""
        if token == NEWLINE:
            return "\n"
        text = self._vocabulary.tokens[token]
        if not self._of_bytes or token == _UNKNOWN:
            return text
        byte = int(text)
        return chr(byte) if byte < 128 else f"bytes:\\x{byte:02x}"
