"""Calls `hatchet-sdk` 0.47.1 on behalf of a test in another environment (`python -m sdk047.caller plain|asyncio`).

One JSON object per line on standard input, `{"call": <function of calls.py>, "with": {<arguments>}}`; one per line on
standard output, `{"result": …}` or `{"error": <type>, "text": <message>}`. The SDK has two halves that do not go
together in one process, so one caller is a script without asyncio and another one lives inside an event loop.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys

from hatchet_sdk import Hatchet

from sdk047 import calls


def main() -> None:
    # Whatever the SDK prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    loop = asyncio.new_event_loop()
    if sys.argv[1] == "asyncio":
        asyncio.set_event_loop(loop)
        hatchet = loop.run_until_complete(_made_in_loop())
    else:
        hatchet = Hatchet()
    for line in sys.stdin:
        asked = json.loads(line)
        function = getattr(calls, asked["call"])
        try:
            result = function(hatchet, **asked["with"])
            if inspect.isawaitable(result):
                result = loop.run_until_complete(result)
            answer = {"result": result}
        except Exception as error:
            answer = {"error": type(error).__name__, "text": str(error)}
        answers.write(json.dumps(answer, default=str) + "\n")
        answers.flush()


async def _made_in_loop() -> Hatchet:
    return Hatchet()


if __name__ == "__main__":
    main()
