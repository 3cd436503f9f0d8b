"""Every setting of the portal, read from the environment here and nowhere else; docs/settings.md has a line for each."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import environ

from smsportal.providers import PROVIDERS

BASE_DIR = Path(__file__).resolve().parent.parent
VAR = BASE_DIR / "var"
with suppress(OSError):  # an installation that may not be written to keeps nothing there
    VAR.mkdir(exist_ok=True)

env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")


def _own_secret(name: str, size: int) -> str:
    """The secret in var/<name>, made on the first start, so that a fresh clone runs without being configured."""
    path = VAR / name
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
            new.write(secrets.token_urlsafe(size))
    except FileExistsError:
        pass
    return path.read_text().strip()


# --- who we are ------------------------------------------------------------------------------------------------------
DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
SECRET_KEY = env("SECRET_KEY", default="") or _own_secret("secret_key", 48)
FIELD_KEYS = env.list("FIELD_KEYS", default=[]) or [_own_secret("field_key", 48)]
OWN_SECRETS = [name for name in ("SECRET_KEY", "FIELD_KEYS") if not env(name, default="")]  # made by _own_secret
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
PUBLIC_URL = env("PUBLIC_URL", default="http://127.0.0.1:8000").rstrip("/")
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[PUBLIC_URL])
TLS = env.bool("TLS", default=PUBLIC_URL.startswith("https://"))

# --- how work is woken and sending behaves ---------------------------------------------------------------------------
DOORBELL = env("DOORBELL", default="thread")  # thread | celery
CELERY_BROKER_URL = env("CELERY_BROKER_URL", default="amqp://guest:guest@127.0.0.1:5672//")
SEND_THREADS = env.int("SEND_THREADS", default=4)
SEND_WINDOW = env.int("SEND_WINDOW", default=32)
LEASE_SECONDS = env.int("LEASE_SECONDS", default=180)
SWEEP_GRACE_SECONDS = env.int("SWEEP_GRACE_SECONDS", default=60)
QUIET_HOURS = env("QUIET_HOURS", default="21:00-08:00")
HOLIDAYS = env.list("HOLIDAYS", default=[])  # countries or states, as in US or US-IL; nothing is sent on their holidays
APPROVAL_ABOVE = env.int("APPROVAL_ABOVE", default=500)
UNDO_SECONDS = env.int("UNDO_SECONDS", default=10)
OVERDUE_MINUTES = env.int("OVERDUE_MINUTES", default=60)
MAX_TEXTS_PER_DAY = env.int("MAX_TEXTS_PER_DAY", default=5)
PAUSE_AT_FAILED_PERCENT = env.int("PAUSE_AT_FAILED_PERCENT", default=30)
PAUSE_AT_OPTED_OUT_PERCENT = env.int("PAUSE_AT_OPTED_OUT_PERCENT", default=5)
PAUSE_AFTER = env.int("PAUSE_AFTER", default=100)
SYNC_MAX_REMOVAL_PERCENT = env.int("SYNC_MAX_REMOVAL_PERCENT", default=20)
PHONE_REGION = env("PHONE_REGION", default="US")
PHONE_REGIONS = env.list("PHONE_REGIONS", default=["US", "PR", "VI", "GU", "AS", "MP"])
IMPORT_MAX_BYTES = env.int("IMPORT_MAX_BYTES", default=20 * 1024 * 1024)
IMPORT_MAX_ROWS = env.int("IMPORT_MAX_ROWS", default=250_000)
WEBHOOK_MAX_BYTES = env.int("WEBHOOK_MAX_BYTES", default=1024 * 1024)

# --- provider accounts: `manage.py sync_accounts` turns <NAME>_… into ProviderAccount rows ----------------------------
PROVIDER_ENVIRONMENT = {
    key: value for key, value in os.environ.items() if key.startswith(tuple(f"{name.upper()}_" for name in PROVIDERS))
}
SANDBOX_URL = env("SANDBOX_URL", default="http://127.0.0.1:8100").rstrip("/")

# --- Django ----------------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.inlines",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "knox",
    "smsportal.accounts",
    "smsportal.mirror",
    "contacts",
    "messaging",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "smsportal.urls"
WSGI_APPLICATION = "smsportal.wsgi.application"
ASGI_APPLICATION = "smsportal.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
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

DATABASES: dict[str, dict[str, Any]] = {
    "default": env.db_url_config(env.str("DATABASE_URL", default="") or f"sqlite:///{VAR}/db.sqlite3")
}
_database = DATABASES["default"]
if _database["ENGINE"].endswith("sqlite3"):
    # Immediate transactions: a deferred one that turns writer late fails with "database is locked" at once.
    _database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON",
    }
    # A file, not memory: threads and the live server of the tests must see one database.
    _database["TEST"] = {"NAME": env("TEST_SQLITE", default=str(VAR / "test.sqlite3"))}
else:
    _database["CONN_MAX_AGE"] = 60
    _database["CONN_HEALTH_CHECKS"] = True
    _database.setdefault("OPTIONS", {})["options"] = (
        "-c statement_timeout=60s -c lock_timeout=10s -c idle_in_transaction_session_timeout=60s"
    )
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LANGUAGE_CODE = "en-us"
TIME_ZONE = env("TIME_ZONE", default="America/New_York")
USE_I18N = True
USE_TZ = True
FORMAT_MODULE_PATH = "smsportal.formats"
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "smsportal" / "static"]
WHITENOISE_USE_FINDERS = True  # no collectstatic step: the files of the installed packages are served where they lie
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
APPEND_SLASH = True

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = TLS
SESSION_COOKIE_AGE = 12 * 60 * 60
SECURE_SSL_REDIRECT = TLS
SECURE_REDIRECT_EXEMPT = [r"^hooks/", r"^api/", r"^health/"]
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = TLS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if env.bool("BEHIND_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# --- API -------------------------------------------------------------------------------------------------------------
KNOX_TOKEN_MODEL = "accounts.ApiToken"
# knox would make a table for the token model that ours replaces, and Django could not empty the tables around it.
MIGRATION_MODULES: dict[str, str | None] = {"knox": None}
REST_KNOX = {
    "TOKEN_PREFIX": "smsp_",
    "AUTH_HEADER_PREFIX": "Bearer",
    "TOKEN_TTL": timedelta(days=365),
    "TOKEN_MODEL": KNOX_TOKEN_MODEL,
}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "smsportal.api.BearerToken",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["smsportal.api.MayDoThis"],
    "DEFAULT_PAGINATION_CLASS": "smsportal.api.Pages",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["smsportal.api.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "smsportal.api.schema.CallSchema",
    "EXCEPTION_HANDLER": "smsportal.api.as_problem",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "SMS portal",
    "DESCRIPTION": "Contact lists, batches of texts, receipts, replies and opt-outs.",
    "VERSION": "1.0.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "smsportal.api.schema.declare_problems",
    ],
    "ENUM_NAME_OVERRIDES": {
        "SyncState": "smsportal.mirror.models.SyncState",
        "ImportState": "contacts.models.ImportState",
        "ImportRowState": "contacts.models.RowState",
        "SyncRunState": "contacts.models.SyncRunState",
        "BatchState": "messaging.statuses.BatchState",
        "MessageState": "messaging.statuses.MessageState",
        "WebhookCallState": "messaging.models.CallState",
        "WebhookItemState": "messaging.models.ItemState",
    },
}

# --- Celery: tasks are only doorbells, so losing or doubling one is harmless -----------------------------------------
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_IGNORE_RESULT = True
# A task works for forty seconds, then finishes the requests under way (45 s) and writes them down.
CELERY_TASK_SOFT_TIME_LIMIT = 100
CELERY_TASK_TIME_LIMIT = 120
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "doorbell"
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR / "beat-schedule")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_DETECT_QUORUM_QUEUES = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False  # else Celery puts handlers in the place of ours, and they do not mask

# --- Logs and the admin's look ---------------------------------------------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"mask": {"()": "smsportal.logs.Mask"}},
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "filters": ["mask"], "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env("LOG_LEVEL", default="INFO")},
    # The development server has a handler of its own, which would not mask.
    "loggers": {"django.server": {"handlers": ["console"], "propagate": False}},
}
UNFOLD = {
    "SITE_TITLE": "SMS portal",
    "SITE_HEADER": "SMS portal",
    "SITE_SYMBOL": "sms",
    "SITE_URL": None,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "smsportal.navigation.favicon"}],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SIDEBAR": {"show_search": True, "show_all_applications": False, "navigation": "smsportal.navigation.sidebar"},
    "ENVIRONMENT": "smsportal.navigation.environment",
    "GLOBAL_CALLBACK": "smsportal.navigation.everywhere",
    "DASHBOARD_CALLBACK": "messaging.admin.dashboard.fill",
    "STYLES": ["smsportal.navigation.stylesheet"],
    "SCRIPTS": ["smsportal.navigation.script"],
    "ACCOUNT": {"navigation": [{"title": "API documentation", "link": "/api/docs/"}]},
}
