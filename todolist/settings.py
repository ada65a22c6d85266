"""Everything that can be configured (`.env.example`), and how the parts are plugged together."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from todolist import __version__
from todolist.config import Environment, name_in_redis

BASE_DIR = Path(__file__).resolve().parent.parent

env = Environment(BASE_DIR / ".env")

# Django itself
SECRET_KEY = env.text("SECRET_KEY")
SECRET_KEY_FALLBACKS = list(env.items("SECRET_KEY_FALLBACKS"))
DEBUG = env.flag("DEBUG", default=False)
ALLOWED_HOSTS = list(env.items("ALLOWED_HOSTS"))
USE_X_FORWARDED_HOST = env.flag("USE_X_FORWARDED_HOST", default=False)

ROOT_URLCONF = "todolist.urls"
ASGI_APPLICATION = "todolist.asgi.application"
WSGI_APPLICATION = "todolist.wsgi.application"

INSTALLED_APPS = [
    "accounts",
    "tasks",
    "todolist",  # before staticfiles: `runserver` is this one's
    "corsheaders",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",  # Swagger UI's files, for /docs
    "channels",
    "axes",
    "todolist.staff.site.StaffConfig",  # django.contrib.admin
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "todolist.observing.middleware.Observed",
    "todolist.serving.middleware.StandingHeaders",
    "todolist.serving.middleware.CorsForBrowsers",  # outside everything that may answer with an error
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "todolist.serving.middleware.CommonOutsideTheAdmin",
    # The API keeps no session and needs no CSRF token.
    "todolist.serving.middleware.AdminMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

VERSION = __version__

METRICS = env.flag("METRICS", default=False)
ACCESS_LOG = env.flag("ACCESS_LOG", default=False)

# Sign-in: what tokens are checked with (docs/api.md section 1)
BETTER_AUTH_SECRET = env.text("BETTER_AUTH_SECRET")
BETTER_AUTH_SECRETS = env.text("BETTER_AUTH_SECRETS")
BETTER_AUTH_URL = env.text("BETTER_AUTH_URL").strip()
BETTER_AUTH_JWKS_URL = env.text("BETTER_AUTH_JWKS_URL").strip()
BETTER_AUTH_ISSUER = env.text("BETTER_AUTH_ISSUER").strip()
BETTER_AUTH_AUDIENCE = env.text("BETTER_AUTH_AUDIENCE").strip()
SIGN_OUTS_INTERVAL = 5  # seconds after which each process reads anew who was signed out
BETTER_AUTH_LEEWAY = env.whole_number("BETTER_AUTH_LEEWAY", 10, at_most=300)  # seconds

# The API
REST_FRAMEWORK = {
    # No SessionAuthentication: a staff session must never become somebody in the API.
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.signin.authentication.BearerAuthentication"],
    # Views over tasks say more; a view that says nothing still wants a token.
    "DEFAULT_PERMISSION_CLASSES": ["accounts.owned.permissions.IsSignedIn"],
    "DEFAULT_PARSER_CLASSES": ["todolist.rest.formats.LimitedJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "todolist.rest.formats.JSONFirst",
    "EXCEPTION_HANDLER": "todolist.rest.errors.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
    "DEFAULT_SCHEMA_CLASS": "todolist.docs.openapi.AutoSchema",
}
# What `GET /schema` says of the whole; todolist/docs/openapi.py makes the rest of the views.
SPECTACULAR_SETTINGS = {
    "OAS_VERSION": "3.1.1",
    "TITLE": "todolist",
    "VERSION": VERSION,
    "SERVERS": [{"url": "/"}],
    "LICENSE": {"name": "MIT", "identifier": "MIT"},
    "COMPONENT_SPLIT_REQUEST": True,  # what may be sent is not what is answered
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENABLE_DJANGO_DEPLOY_CHECK": False,  # todolist.E024 does that, in every check
    "PREPROCESSING_HOOKS": ["todolist.docs.openapi.without_trailing_slashes"],
    "POSTPROCESSING_HOOKS": ["todolist.docs.openapi.complete"],
}
# Open at once in one server process
SOCKETS_PER_USER = env.whole_number("SOCKETS_PER_USER", 20, at_least=1, at_most=10_000)
MAX_BODY_SIZE = 1024 * 1024  # bytes (docs/api.md section 3); a view may say `max_body_size`
MAX_IMPORT_SIZE = 16 * MAX_BODY_SIZE
MAX_PAGE_SIZE = 1024 * 1024  # bytes of a list, whatever `limit` says; one row may be larger
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_SIZE  # the same for forms of the admin

CORS_ORIGINS = CORS_ALLOWED_ORIGINS = env.origins("CORS_ORIGINS", "http://localhost:3000")
CORS_ALLOW_HEADERS = [
    *("authorization", "content-type", "idempotency-key", "if-match", "if-none-match"),
    # What clients that cache or trace send on their own account.
    *("cache-control", "x-request-id", "traceparent", "tracestate", "sentry-trace", "baggage"),
]
CORS_ALLOW_METHODS = ["DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT"]
CORS_EXPOSE_HEADERS = [
    *("Link", "Location", "ETag", "WWW-Authenticate", "Retry-After"),
    *("X-Request-ID", "X-Events-Seq", "X-Events-Epoch"),
]
CORS_URLS_REGEX = r"^/(?!admin)"  # pages of other origins have no business in the admin

# Web Push (docs/api.md section 9): none without a key
VAPID_PRIVATE_KEY = env.vapid_key("VAPID_PRIVATE_KEY")
VAPID_SUBJECT = env.vapid_subject("VAPID_SUBJECT")

# Storage: SQLite until a database is configured
DATABASE = env.database("DATABASE_URL", f"sqlite:///{BASE_DIR / 'db.sqlite3'}")
DATABASES = {"default": DATABASE}
# Requests run on a few threads that stay (todolist/serving/handler.py), each with its connection.
DATABASE["CONN_MAX_AGE"] = None
if DATABASE["ENGINE"] == "django.db.backends.sqlite3":
    DATABASE["ENGINE"] = "todolist.serving.sqlite"
    DATABASE["OPTIONS"] = {
        # Writers queue for `timeout` seconds from the start; by default one of two fails at once.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        # Readers and a writer do not block each other; safe against a crash of the process.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
elif DATABASE["ENGINE"] == "django.db.backends.postgresql":
    DATABASE["ENGINE"] = "todolist.serving.postgresql"
    # A restarted database costs nobody a failed request; this engine checks without asking.
    DATABASE["CONN_HEALTH_CHECKS"] = True
    # At most, and half of it at least: so another address of the database is noticed.
    DATABASE["CONN_MAX_AGE"] = 600  # seconds
    DATABASE["OPTIONS"] = {
        "connect_timeout": 3,  # seconds
        # A peer that is gone without a word, or takes nothing: seconds, and milliseconds.
        **{"keepalives_idle": 30, "keepalives_interval": 5, "keepalives_count": 3},
        "tcp_user_timeout": 10_000,
        "server_side_binding": True,
        **DATABASE["OPTIONS"],
        # The engine prepares what is worth it; after a rollback psycopg has the server forget all.
        "prepare_threshold": None,
    }

# A pooler in transaction mode: connections are lent for a transaction at a time (docs/servers.md).
DATABASE_POOLER = env.choice("DATABASE_POOLER", ("none", "transaction", "tracking"))
DATABASE["DISABLE_SERVER_SIDE_CURSORS"] = DATABASE_POOLER != "none"

# What a request may take: longer than that, it is 503. Commands and migrations take their time.
STATEMENT_TIMEOUT = 4  # seconds of a statement
LOCK_TIMEOUT = 2  # seconds that a statement waits for another transaction

# Row-level security. With a role that is above it the server warns, or does not start (checks.py).
DATABASE_RLS = env.flag("DATABASE_RLS", default=True)
DATABASE_RLS_DEMANDED = DATABASE_RLS and bool(env.text("DATABASE_RLS"))

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Shared by several processes with Redis; within one process without
REDIS_URL = env.redis_url("REDIS_URL")
CHANNEL_LAYERS: dict[str, Any] = {
    "default": {
        "BACKEND": "channels.layers.InMemoryChannelLayer",
        "CONFIG": {"capacity": 1000},  # events waiting for one socket
    }
}
LOCAL_MEMORY = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
CACHES: dict[str, Any] = {
    "default": LOCAL_MEMORY,
    # Apart and roomy, so that nothing else, and no flood of made-up names, pushes tries out.
    "sign-in tries": LOCAL_MEMORY | {"LOCATION": "tries", "OPTIONS": {"MAX_ENTRIES": 100_000}},
}
if REDIS_URL:
    NAME_IN_REDIS = name_in_redis(REDIS_URL, str(DATABASE.get("NAME", "")))
    CHANNEL_LAYERS["default"] = {
        # Several times the events per second of `channels_redis.core`.
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {
            "hosts": [{"address": REDIS_URL, "socket_connect_timeout": 3, "socket_timeout": 3}],
            "prefix": NAME_IN_REDIS,
        },
    }
    for name, serializer in (("default", "JSON"), ("sign-in tries", "WholeNumber")):
        CACHES[name] = {
            "BACKEND": "todolist.caches.JSONCache",
            "LOCATION": REDIS_URL,
            "KEY_PREFIX": NAME_IN_REDIS,
            "OPTIONS": {
                "serializer": f"todolist.caches.{serializer}Serializer",
                **{"socket_connect_timeout": 1, "socket_timeout": 1},  # seconds
            },
        }

# Language, time, files of the admin
USE_I18N = False
TIME_ZONE = "UTC"
FORMAT_MODULE_PATH = ["todolist.staff.formats"]
STATIC_URL = "/static/"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "todolist.serving.static.StaticFilesBelowPrefix"},
}
STATICFILES_FINDERS = ["todolist.serving.static.FilesOfPages"]
WHITENOISE_USE_FINDERS = True  # serve the admin's files from where they are installed
WHITENOISE_AUTOREFRESH = False

# Staff accounts
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # refuses a name or an address that was wrong too often
    "django.contrib.auth.backends.ModelBackend",
]
AXES_HANDLER = "axes.handlers.cache.AxesCacheHandler"
AXES_CACHE = "sign-in tries"
AXES_LOCKOUT_PARAMETERS = ["username", "ip_address"]  # either: addresses are easily changed
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_ENABLE_ADMIN = False  # its tables stay empty
AXES_VERBOSE = False
AXES_SENSITIVE_PARAMETERS = ["username"]  # people type their password there; the address is logged
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{rule}Validator"}
    for rule in ("UserAttributeSimilarity", "MinimumLength", "CommonPassword", "NumericPassword")
]

# Transport: TLS ends at a proxy in front of this server
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEBUG
SECURE_HSTS_SECONDS = 0 if DEBUG else 365 * 24 * 3600
SILENCED_SYSTEM_CHECKS = [
    # Django's middleware is there, in our own of todolist/serving/middleware.py, where checks do not look.
    *("admin.E408", "admin.E409", "admin.E410", "security.W001", "security.W002", "security.W003"),
    "security.W005",  # HSTS for subdomains: not ours to decide, other services may live there
    "security.W008",  # redirect to https: it would lose bodies and the Authorization header
    "security.W021",  # HSTS preload: as W005
    "models.W040",  # columns that an index carries along: SQLite does without
    "axes.W001",  # tries counted in memory: todolist.W010 says that several processes need Redis
    "axes.W002",  # its middleware: todolist.staff.site does that, where people sign in
]

# Logs: to stderr, through formatters that let no token and no secret pass; crash pages likewise
LOGGING_CONFIG = "todolist.logs.formatters.configure"
LOG_FORMAT = env.choice("LOG_FORMAT", ("text", "json"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {
            "()": "todolist.logs.formatters.RedactingFormatter",
            "format": "{asctime} {levelname} {name} {request_id} {message}",
            "style": "{",
            "defaults": {"request_id": "-"},
        },
        "json": {"()": "todolist.logs.formatters.JSONFormatter"},
    },
    "filters": {
        "refusals": {
            "()": "django.utils.log.CallbackFilter",
            "callback": "ext://accounts.signin.refusals.says_more",
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        # Not their own handlers, which know nothing of redaction.
        **{
            name: {"handlers": ["console"], "level": "INFO", "propagate": False}
            for name in ("django", "django.server", "uvicorn", "uvicorn.error")
        },
        "django.request": {"filters": ["refusals"]},
        # The proxy in front writes the access log; a second one costs a tenth of the requests.
        "uvicorn.access": {"level": "WARNING"},
        "uvicorn.error.websockets": {"level": "WARNING"},  # not a line for every handshake
        # A traceback each second while Redis is away, of which tasks/events/follower.py tells once.
        "channels_redis": {"level": "CRITICAL"},
    },
}

DEFAULT_EXCEPTION_REPORTER = "todolist.logs.crash_pages.SecretsReporter"
DEFAULT_EXCEPTION_REPORTER_FILTER = "todolist.logs.crash_pages.SecretsFilter"

TEST_RUNNER = "todolist.tests.runner.PytestRunner"

ENVIRONMENT_MISTAKES = tuple(env.mistakes)
