"""`make e2e-local`: everything as processes, used as people use it, told in six lines that are green or red."""
