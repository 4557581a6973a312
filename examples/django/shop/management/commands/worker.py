"""python manage.py worker --slots 20"""

from broadaxe_worker import Worker, WorkerError
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Runs the worker until it is told to stop; then it finishes what runs."

    def add_arguments(self, parser):
        parser.add_argument("--name", default="shop", help="the worker's name [shop]")
        parser.add_argument("--slots", type=int, default=20, help="how many tasks at a time [20]")

    def handle(self, *, name, slots, **options):
        if not 1 <= slots <= 1000:
            raise CommandError("--slots must be from 1 to 1000", returncode=2)
        try:
            # Here, because only the worker needs to be told where the engine is.
            from shop.workflows import hatchet, workflows

            Worker(hatchet, name, workflows=workflows, slots=slots).start()
        except WorkerError as error:
            raise CommandError(str(error)) from None
        except ValueError as error:
            raise CommandError(
                f"where is the engine? set HATCHET_CLIENT_TOKEN ({type(error).__name__})", returncode=2
            ) from None
