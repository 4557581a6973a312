"""grpc-go in every call shape, and the h2spec conformance suite. Collected only where there is a Go toolchain.

Both are built from the module under `clients/go`, whose dependencies are pinned and fetched once per machine.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

MODULE = Path(__file__).parent / "clients" / "go"
GOFLAGS = "-mod=readonly -buildvcs=false"


async def test_grpc_go_in_every_call_shape(serve, run, failures, tmp_path: Path) -> None:
    client = tmp_path / "client"
    await run("go", "build", "-o", client, ".", cwd=MODULE, GOFLAGS=GOFLAGS)
    served = await serve()
    assert failures(await run(client, served.address)) == {}
    await asyncio.wait_for(served.methods.let_go.wait(), 10)


async def test_h2spec_finds_nothing(serve, run, tmp_path: Path) -> None:
    """All of it, strict cases included: nothing is out of scope."""
    h2spec = tmp_path / "h2spec"
    await run("go", "build", "-o", h2spec, "github.com/summerwind/h2spec/cmd/h2spec", cwd=MODULE, GOFLAGS=GOFLAGS)
    served = await serve()
    said = await run(h2spec, "-h", "127.0.0.1", "-p", str(served.port), "-o", "5", "--strict")
    assert "146 tests, 146 passed, 0 skipped, 0 failed" in said, said
