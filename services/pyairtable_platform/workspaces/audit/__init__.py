"""What was changed in workspaces, and by whom."""
