"""One program, run with Celery and with what stands in for it: the test writes the other name into the import."""

from celery import Celery, chain, chord, group

app = Celery("shop", broker="memory://", backend="cache+memory://")
app.conf.update(timezone="UTC", broker_transport_options={"polling_interval": 0.01}, beat_max_loop_interval=1)
tried: list[int] = []


@app.task
def add(x, y):
    return x + y


@app.task(name="shop.total")
def total(numbers):
    return sum(numbers)


@app.task(bind=True, max_retries=3)
def stubborn(self, fails):
    """Asks to be tried again, each time with a delay of its own."""
    try:
        tried.append(self.request.retries)
        if self.request.retries < fails:
            raise OSError("not yet")
    except OSError as error:
        raise self.retry(exc=error, countdown=0.01 * self.request.retries) from error
    return {"retries": self.request.retries, "id": self.request.id}


@app.task(autoretry_for=(ConnectionError,), max_retries=2, default_retry_delay=0)
def flaky(text):
    raise ConnectionError(text)


@app.task
def broken(text):
    raise ValueError(text)


@app.task(bind=True, max_retries=0)
def hopeless(self):
    self.retry()


def told(call):
    """What became of a call, in words that hold for both."""
    try:
        if callable(call):
            call = call()
        value = call.get(timeout=60, interval=0.05)
    except Exception as error:
        value = f"{type(error).__name__}: {error}"
    return getattr(call, "state", "raised at once"), value


def everything():
    """Calls of every kind, and what became of them."""
    answers = {}
    answers["delay"] = told(add.delay(2, 3))
    if not app.conf.task_always_eager:
        answers["by name"] = told(app.send_task(add.name, args=(2, 3)))
    answers["keywords"] = told(add.apply_async((2,), {"y": 5}))
    answers["tuples"] = told(total.delay((1, 2, 3)))
    answers["raises"] = told(broken.delay("no good"))
    answers["given up"] = told(hopeless.delay())
    answers["tried enough"] = told(stubborn.delay(9))
    answers["autoretry"] = told(flaky.delay("gone"))
    again = stubborn.delay(2)
    answers["retry"] = told(again)[1]["retries"], told(again)[1]["id"] == again.id, again.state
    answers["id"] = add.apply_async((1, 1), task_id="a-name-of-its-own").id
    answers["partial"] = told(add.s(10).delay(1))
    answers["chain"] = told(chain(add.s(1, 2), add.s(4), add.si(5, 5), add.s(1))())
    answers["pipe"] = told((add.s(1, 2) | add.s(4)).apply_async())
    answers["group"] = sorted(group(add.s(n, n) for n in range(5)).apply_async().get(timeout=60, interval=0.05))
    answers["chord"] = told(chord([add.s(n, n) for n in range(5)])(total.s()))
    answers["chord of one line"] = told((group(add.s(1, 1), add.s(2, 2)) | total.s() | add.s(100)).apply_async())
    answers["chain that breaks"] = told(lambda: chain(add.s(1, 2), broken.si("in the middle"), add.s(1))())
    answers["retried in a chain"] = told(chain(add.si(1, 1), stubborn.s(), add.si(7, 0))())
    return answers


def here():
    """What needs no worker."""
    return {
        "call": add(2, 3),
        "bound": tried.clear() or stubborn.apply((2,)).get()["retries"],
        "tried": list(tried),
        "signature": (add.s(1, y=2)(), add.si(1, 2).immutable, repr(add.s(1, 2)), add.s(1).args, add.s(1, y=2).kwargs),
        "names": (add.name, total.name),
        "apply": told(broken.apply(("here",))),
        "doc": stubborn.__doc__,
    }
