"""Serve the stub of the literature sources: python -m xstilts.evidence.stub [--port 8765] [--fault s2=busy ...]."""

from __future__ import annotations

import argparse
import signal
from typing import cast

from xstilts.evidence.stub.server import FAULT_KINDS, SOURCES, Fault, FaultKind, serving


def main(arguments: list[str] | None = None) -> None:
    """Print the environment variables that direct a client to the stub, and serve until interrupted.

    Args:
        arguments: Command-line arguments; by default those of the process.
    """
    parser = argparse.ArgumentParser("xstilts.evidence.stub", description=(__doc__ or "").partition(":")[0] + ".")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument(
        "--fault", action="append", default=[], metavar="SOURCE=KIND", help=f"KIND: {', '.join(FAULT_KINDS)}"
    )
    options = parser.parse_args(arguments)
    faults: dict[str, Fault] = {}
    for source, _, fault_kind in (value.partition("=") for value in options.fault):
        if source not in SOURCES or fault_kind not in FAULT_KINDS:
            parser.error(f"{source}={fault_kind}: sources are {', '.join(SOURCES)}; kinds are {', '.join(FAULT_KINDS)}")
        faults[source] = Fault(cast(FaultKind, fault_kind))
    with serving(faults, options.port) as stub:
        try:
            print(*(f"export {name}={url}" for name, url in stub.environment().items()), sep="\n", flush=True)
            while not stub.ended.wait(0.2):  # awake often, so that a signal is not left to another thread
                pass
        except KeyboardInterrupt:
            print("ended")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background programs with it ignored
    main()
