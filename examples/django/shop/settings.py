"""As `startproject` makes them, without what this example does not need."""

import os

from psycopg.conninfo import conninfo_to_dict

SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY", "for development only")
DEBUG = os.environ.get("DJANGO_DEBUG", "yes") == "yes"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "shop.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
STATIC_URL = "static/"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "shop",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
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
            ]
        },
    }
]
# The engine's own database, which its env file names, as a role that may enqueue and sees none of the engine's tables.
ENGINE = conninfo_to_dict(os.environ.get("BROADAXE_ENGINE_DATABASE_URL", ""))
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ.get("PGDATABASE") or ENGINE.get("dbname", "broadaxe"),
        "USER": os.environ.get("PGUSER", "shop_app"),
        "PASSWORD": os.environ.get("PGPASSWORD", ""),
        "HOST": os.environ.get("PGHOST") or ENGINE.get("host", ""),
        "PORT": os.environ.get("PGPORT") or ENGINE.get("port", ""),
    }
}
#: Where the console is, for links to runs.
BROADAXE_URL = os.environ.get("HATCHET_CLIENT_SERVER_URL", "http://127.0.0.1:8080")
