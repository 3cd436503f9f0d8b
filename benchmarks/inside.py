"""Runs one function of a race in this process, with Django set up: `python -m benchmarks.inside MODULE FUNCTION [JSON…]`.

Prints what it returns as one line of JSON, last. The process that asks for it stays small and knows no Django.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module


def main(module: str, function: str, *given: str) -> None:
    import django

    django.setup()
    told = getattr(import_module(f"benchmarks.{module}"), function)(*map(json.loads, given))
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
