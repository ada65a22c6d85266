"""How busy this process is, noted for `GET /metrics` once a second."""

import threading
import time

from accounts.signin.conf import conf
from accounts.signin.keyset import key_set
from todolist.observing.metrics import CONNECTIONS, KEYS_AGE, REQUESTS_WAITING, THREADS_BUSY
from todolist.serving.connections.connection import limits
from todolist.serving.threads import LoopThreads

EVERY = 1.0  # seconds


def note_from_now_on(threads: LoopThreads) -> None:
    """Other processes answer for this one from what it has noted."""
    threading.Thread(target=_go_on, args=(threads,), name="gauges", daemon=True).start()


def _go_on(threads: LoopThreads) -> None:
    while True:
        CONNECTIONS.set(limits.open)
        THREADS_BUSY.set(threads.busy)
        REQUESTS_WAITING.set(threads.waiting)
        if conf.jwks_url and (age := key_set(conf.jwks_url).age) is not None:
            KEYS_AGE.set(age)
        time.sleep(EVERY)
