"""gRPC over HTTP/2 on asyncio: the engine's own carrier.

    carrier.py      asyncio: sockets, TLS, tasks of handlers, timers, drain        knows all of the below
    grpc.py         what gRPC puts into HTTP/2: messages, deadlines, metadata, trailers
    connection.py   one HTTP/2 connection without I/O: bytes in, events out; calls in, bytes out
    headers.py      HPACK and what makes a request's header section well-formed
    frames.py       the words of RFC 9113: frame types, error codes, how a frame is written down

Only `carrier` knows asyncio. `connection` is handed the time and never asks for it.
"""
