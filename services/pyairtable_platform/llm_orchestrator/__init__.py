"""Chat: a turn is a run, a run is a log of events, a model and tools write it."""
