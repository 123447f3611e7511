"""The emulator's "model": rules that plan from the declared tools and the conversation, not from data of its own."""

from pyairtable_devkit.gemini.planner.plan import plan

__all__ = ["plan"]
