"""Start the whole system: a real Better Auth server with its page, and this backend."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import environ

ROOT = Path(__file__).resolve().parent.parent


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
    processes = [
        subprocess.Popen([node, "server.mjs"], cwd=ROOT / "demo", env=for_demo),  # noqa: S603
        subprocess.Popen(  # noqa: S603
            [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{api_port}"],
            cwd=ROOT,
            env=for_backend,
        ),
    ]

    def stop(*_: object) -> None:
        for process in processes:
            process.terminate()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    print(
        f"\nOpen {page} in a browser; a second window shows changes as they happen.\n", flush=True
    )
    # When one of them ends, nothing is left to show.
    os.wait()
    stop()
    codes = [process.wait() for process in processes]
    sys.exit(next((code for code in codes if code > 0), 0))


if __name__ == "__main__":
    main()
