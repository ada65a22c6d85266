"""How this server does, told to whoever measures it."""

# Of the environment: where prometheus_client keeps what processes add up. It looks there when it is imported.
DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
