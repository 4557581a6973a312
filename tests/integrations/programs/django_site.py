"""Sets the Django example up and serves it: `python django_site.py PORT_FILE`."""

import os
import sys
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
django.setup()
call_command("migrate", verbosity=0)
call_command("makemigrations", check=True, dry_run=True)
call_command("createsuperuser", interactive=False, username="ada", email="ada@example.com", verbosity=0)

from shop.models import Stock  # noqa: E402 Django has only now been set up

Stock.objects.create(item="lamp", pieces=5)
Stock.objects.create(item="rug", pieces=0)


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


with make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Quiet) as server:
    place = Path(sys.argv[1])
    place.with_suffix(".new").write_text(str(server.server_port))
    place.with_suffix(".new").rename(place)
    server.serve_forever()
