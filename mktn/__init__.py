"""mktn: multi-pair temporal sentence grounding (MKTN, Fang et al.) as a pipeline.

Data flows one way: sources -> pairs -> features -> groups -> runs -> results.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mktn.grounder.grounder import Grounder

__all__ = ["Grounder", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Torch and all that decodes are loaded by those who ground, not by each command.
    if name == "Grounder":
        from mktn.grounder.grounder import Grounder

        return Grounder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
