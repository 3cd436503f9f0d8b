"""Log lines without secrets or whole phone numbers."""

import logging


class Mask(logging.Filter):
    """Masks what must not be logged."""
