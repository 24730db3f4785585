"""What a planted fault is: a change of the source, with what is known of it beforehand."""

from collections.abc import Mapping

import msgspec

from parity.sharnn.faults.plant import Change, Edit, Value


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fault, and what must find it.

    To add one, write an entry into the file of `parity/sharnn/faults/catalogue/` that has its kind, and nothing else.
    It needs at least one expectation, and each that is given is checked by a test with the entry's name in it:
    `recording` with `first` and `hint` by `sharnn parity mutants` and tests/parity/test_faults.py, `scenes` by
    tests/parity/test_diagnosis.py (updates: test_diagnosis_updates.py), `laws` by tests/laws/test_faults.py.

    Expectations follow from what the change does; they are not copied from what the suite says.
    """

    name: str
    """The fault's name on the command line: lower case, with hyphens."""
    place: str
    """The part of the model that it is in, such as "mask"."""
    description: str = ""
    """What is wrong, in a line; empty where the name says it."""
    edit: Edit | None = None
    """The change of a function's source that plants it."""
    value: Value | None = None
    """The other value of a name that plants it, in place of an edit."""
    recording: str = ""
    """The packaged recording that it is compared with, the smallest that shows it; empty for none."""
    first: str = ""
    """The tensor of that recording that is wrong first. Where the recording does not hold the tensor that the fault is
    in, it is the first recorded one after it."""
    hint: str | None = None
    """A regular expression that one of the suite's hints has to match; None where no hint is expected."""
    scenes: Mapping[str, str] = {}
    """Words that diagnosis' first hint has to contain, by the scene that it is shown. On a model of three small blocks:
    "julia" and "paper", all tensors under those semantics, "smerity", what Smerity's recordings have of the paper's,
    and variants that tests/parity/diagnosed.py names. On the third update of one parameter: "m_after" and "v_after",
    a moment after it, and "w_after", the parameter."""
    laws: Mapping[str, str] = {}
    """The law of docs/laws.md that it breaks, by the back end that breaks it."""

    def __post_init__(self) -> None:
        if (self.edit is None) == (self.value is None):
            raise ValueError(f"{self.name}: give either an edit or a value")

    @property
    def change(self) -> Change:
        """What plants it."""
        change = self.edit or self.value
        assert change is not None
        return change

    @property
    def what(self) -> str:
        """What is wrong, in a line."""
        return self.description or self.name.replace("-", " ")
