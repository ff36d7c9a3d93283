"""The Assistant: remember, look, answer. The one pipeline that page, shell, evaluation and benchmarks all call.

It is given its parts and knows them by the Protocols of `personal.parts`; it imports none of them. Every method takes
the owner first and touches nothing of any other owner. It holds no conversation: those belong to the caller.
"""

from personal.assistant.answering import CAPTION, FROM_FINDINGS, Assistant
from personal.assistant.grounding import VERIFIED_BETWEEN
from personal.assistant.memory import UNDO_S
from personal.assistant.merging import Merge

__all__ = ["CAPTION", "FROM_FINDINGS", "UNDO_S", "VERIFIED_BETWEEN", "Assistant", "Merge"]
