"""Members and invitations: who may use a workspace, and with which role."""
