"""Serve the stub until it is interrupted: python -m xstilts.evidence.stub [--port 8765] [--fault s2=busy ...]."""

from __future__ import annotations

import argparse
from typing import cast

from xstilts.evidence.stub.server import FAULT_KINDS, SOURCES, Fault, FaultKind, serving


def main(arguments: list[str] | None = None) -> None:
    """Print the variables that lead a client here, and serve."""
    parser = argparse.ArgumentParser("xstilts.evidence.stub", description=(__doc__ or "").partition(":")[0] + ".")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument(
        "--fault", action="append", default=[], metavar="SOURCE=KIND", help=f"KIND: {', '.join(FAULT_KINDS)}"
    )
    given = parser.parse_args(arguments)
    faults: dict[str, Fault] = {}
    for source, _, kind in (one.partition("=") for one in given.fault):
        if source not in SOURCES or kind not in FAULT_KINDS:
            parser.error(f"{source}={kind}: sources are {', '.join(SOURCES)}; kinds are {', '.join(FAULT_KINDS)}")
        faults[source] = Fault(cast(FaultKind, kind))
    with serving(faults, given.port) as stub:
        try:
            print(*(f"export {name}={url}" for name, url in stub.environment().items()), sep="\n", flush=True)
            stub.ended.wait()
        except KeyboardInterrupt:
            print("ended")


if __name__ == "__main__":
    main()
