"""mktn: multi-pair temporal sentence grounding (MKTN, Fang et al.) as a pipeline.

Data flows one way: sources -> pairs -> features -> groups -> runs -> results.
"""

__version__ = "0.1.0"
