"""`python -m smsportal.sandbox`: serves the twins and their page until it is told to stop."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Sequence

from smsportal.sandbox.ocelot import API_KEY, BASE
from smsportal.sandbox.server import Server


def main(given: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; 0 then, 2 when the port is taken or the arguments are wrong."""
    parser = argparse.ArgumentParser(prog="python -m smsportal.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8100, help="port to listen on, 0 for any (default: %(default)s)")
    parser.add_argument("--portal", default="http://127.0.0.1:8000", help="where the portal is, to link to it")
    parser.add_argument("--seed", type=int, default=0, help="makes faults that befall a share of requests repeatable")
    options = parser.parse_args(given)
    try:
        server = Server((options.host, options.port), seed=options.seed, portal=options.portal)
    except OSError as wrong:
        parser.error(f"cannot listen on {options.host}:{options.port}: {wrong.strerror}; try another --port")
    for number in (signal.SIGTERM, signal.SIGINT):
        # shutdown() waits for the loop this handler interrupts, so it needs a thread of its own.
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    _announce(server.url)
    with server:
        server.serve_forever()
    return 0


def _announce(url: str) -> None:
    lines = (
        f"Sandbox: no real text is sent. What it receives is shown at {url}/",
        f"Ocelot's API is served at {url}{BASE}",
        f"The portal uses it when no account is set (SANDBOX_URL={url}), or with",
        f"  OCELOT_BASE_URL={url}{BASE}",
        "  OCELOT_CHATBOT_UUID=00000000-0000-4000-8000-000000000000   (any)",
        f"  OCELOT_API_KEY={API_KEY}",
    )
    print("\n".join(lines), flush=True)  # noqa: T201  the only thing this program says


if __name__ == "__main__":
    raise SystemExit(main())
