"""Laws of attention memory and hidden-state carryover, and what is needed to hold a model to them (docs/laws.md).

Names load when they are first used; Hypothesis, which drives the laws, is in the extra `laws`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
