"""A fast worker for programs written with the Hatchet SDK, against a Broadaxe engine.

    from broadaxe_worker import Worker

    Worker(hatchet, "mail", workflows=[send_mail]).start()

or, without a line of code, `broadaxe-worker app.main:hatchet`. See README.md.
"""

from broadaxe_worker.caller import Caller
from broadaxe_worker.errors import EngineTooOld, Mistake, WorkerError
from broadaxe_worker.worker import Worker

__all__ = ["Caller", "EngineTooOld", "Mistake", "Worker", "WorkerError"]
