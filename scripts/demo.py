"""Start the whole system: a real Better Auth server with its page, and this backend."""

import os
import shutil
import sys

import environ
from serve import ROOT, backend, run_together


def main() -> None:
    node = shutil.which("node")
    if node is None:
        sys.exit(
            "Node.js is missing: install Node.js 20 or newer (Debian: apt-get install nodejs npm)."
        )
    api_port, demo_port, token_mode = sys.argv[1:]
    page, api = f"http://localhost:{demo_port}", f"http://127.0.0.1:{api_port}"
    environ.Env.read_env(ROOT / ".env")
    secret = os.environ.get("BETTER_AUTH_SECRET", "")

    for_demo = {
        **os.environ,
        "BETTER_AUTH_SECRET": secret,
        "BETTER_AUTH_URL": page,
        "PORT": demo_port,
        "HOST": "127.0.0.1",
        "API_URL": api,
        "TOKEN_MODE": token_mode,
        "DATA_FILE": ".data.json",  # so that tasks still have their people after a restart
    }
    # The jwt plugin's keys are trusted by URL; the shared secret both have already.
    for_backend = {
        **os.environ,
        "CORS_ORIGINS": page,
        "BETTER_AUTH_URL": page if token_mode == "jwks" else "",  # noqa: S105
    }
    print(
        f"\nOpen {page} in a browser; a second window shows changes as they happen.\n", flush=True
    )
    better_auth = ([node, "server.mjs"], ROOT / "demo", for_demo)
    address = f"127.0.0.1:{api_port}"
    ours = [(command, ROOT, for_backend) for command in backend(address)]
    sys.exit(run_together([better_auth, *ours]))


if __name__ == "__main__":
    main()
