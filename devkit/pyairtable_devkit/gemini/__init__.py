"""The Gemini emulator: the wire of the Gemini API with a rule-based planner in place of a model."""
