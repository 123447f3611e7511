"""The command line for people: who is logged in, workspaces, keys and chat, over the door's REST API.

It talks to an installation as any other program does: nothing of the services is imported here.
"""
