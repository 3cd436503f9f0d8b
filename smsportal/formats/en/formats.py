"""English, with the day in 24 hours: as in the settings, the tables and drawings, and the messages of the portal."""

from __future__ import annotations

from typing import Final

TIME_FORMAT: Final = "H:i"
DATETIME_FORMAT: Final = "N j, Y, H:i"
SHORT_DATETIME_FORMAT: Final = "m/d/Y H:i"
