"""What requests and answers look like in JSON. Completions have the form that OpenAI's clients send and read."""

from __future__ import annotations

from itertools import chain
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("the text has half a surrogate pair, which no UTF-8 has") from error
    return text


Text = Annotated[str, AfterValidator(_encodable)]
Id = Annotated[StrictInt, Field(ge=0, lt=2**31)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Stop = Annotated[list[Annotated[Text, Field(min_length=1)]], Field(max_length=16)]


class Request(BaseModel):
    """Fields that are not known are refused: a misspelt one would do nothing, silently."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class Drawing(Request):
    """How tokens are drawn, as by `sharnn generate`."""

    max_tokens: int = Field(16, ge=0, description="Tokens to draw.")
    temperature: float = Field(1.0, ge=0, description="Divides the logits; 0 takes the most likely token.")
    top_p: float | None = Field(None, gt=0, le=1, description="Draw from the likeliest tokens that add up to it.")
    top_k: int | None = Field(None, ge=1, description="Draw from so many of the most likely tokens.")
    seed: Seed | None = Field(None, description="Same seed, same text. Default: 0, or to go on as before.")
    stop: Text | Stop | None = Field(None, description="End before the first of these texts.")
    stream: bool = Field(False, description="Answer with server-sent events as the text comes.")
    logprobs: int | None = Field(None, ge=0, le=20, description="Say how likely tokens, and so many others, were.")

    @property
    def stops(self) -> list[str]:
        """`stop` as a list."""
        return [self.stop] if isinstance(self.stop, str) else self.stop or []


class StreamOptions(Request):
    """Of a stream."""

    include_usage: bool = Field(False, description="Send the counts of tokens in an event at the end.")


class CompletionRequest(Drawing):
    """A text, or several, to be continued."""

    model: Text | None = None
    prompt: Text | list[Text] | list[Id] | list[list[Id]] = Field(description="Texts, or ids of tokens.")
    n: int = Field(1, ge=1, le=128, description="Texts for each prompt, with seeds seed, seed + 1, ...")
    echo: bool = Field(False, description="Begin with the prompt, and say how likely its tokens were.")
    stream_options: StreamOptions | None = None
    best_of: Literal[1] | None = None
    suffix: None = None
    presence_penalty: Literal[0] | None = None
    frequency_penalty: Literal[0] | None = None
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = None
    user: Text | None = None


class LogProbs(BaseModel):
    """One entry for each token."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]

    @classmethod
    def joined(cls, parts: list[LogProbs | None]) -> LogProbs | None:
        """The entries of all parts; None if none has any."""
        given = [part for part in parts if part is not None]
        lists = {name: list(chain.from_iterable(getattr(part, name) for part in given)) for name in cls.model_fields}
        return cls(**lists) if given else None


class Choice(BaseModel):
    """A continuation, or a piece of it."""

    text: str
    index: int
    logprobs: LogProbs | None = None
    finish_reason: Literal["length", "stop"] | None = None


class Usage(BaseModel):
    """Counts of tokens."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Completion(BaseModel):
    """The answer, or an event of a stream."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage | None = None


class Model(BaseModel):
    """The model that is served."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "sharnn"
    identity: str = Field(description="The identity of config and weights, which saved states name.")
    vocabulary: int


class Models(BaseModel):
    """All models: one."""

    object: Literal["list"] = "list"
    data: list[Model]


class ScoreRequest(Request):
    """A text."""

    text: Annotated[Text, Field(min_length=1)]


class Score(BaseModel):
    """How likely a text is to the model."""

    bits_per_byte: float
    nats: float
    tokens: int
    bytes: int


class NewSequence(Request):
    """What a new sequence begins with: nothing, a text, or a snapshot and then a text."""

    text: Text = ""
    snapshot: Text | None = None


class Append(Request):
    """What a sequence reads on."""

    text: Annotated[Text, Field(min_length=1)]


class Restore(Request):
    """A snapshot."""

    snapshot: Text


class Sequence(BaseModel):
    """A sequence that lives on the server."""

    id: str
    object: Literal["sequence"] = "sequence"
    created: int
    tokens: int = Field(description="Fed since it was created or restored; a fork has its parent's too.")
    busy: bool


class Sequences(BaseModel):
    """All that are open."""

    data: list[Sequence]


class Generated(BaseModel):
    """The text that a sequence went on with, or a piece of it."""

    text: str
    tokens: int
    finish_reason: Literal["length", "stop"] | None
    logprobs: LogProbs | None = None


class Snapshot(BaseModel):
    """A state that was saved for good."""

    id: str
    object: Literal["snapshot"] = "snapshot"
    bytes: int


class Snapshots(BaseModel):
    """All that are saved."""

    data: list[Snapshot]


class Deleted(BaseModel):
    """What is no more."""

    id: str
    deleted: Literal[True] = True


class Status(BaseModel):
    """What the server does at the moment."""

    model: str
    slots: int
    active: int
    waiting: int
    sequences: int
    in_memory: int
    tokens: int = Field(description="Tokens fed since the server began.")
