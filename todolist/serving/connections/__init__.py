CROWDED = "todolist.crowded"  # of an ASGI scope: its connection is one too many (limits.py)
