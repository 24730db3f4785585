"""Laws of attention memory and hidden-state carryover, and what is needed to test a model by them (docs/laws.md).

Names load when they are first used; Hypothesis, which drives the laws, is in the extra `laws`.
"""

from sharnn_py.lazy_package import attach

__getattr__, __dir__, __all__ = attach(__name__)
