"""A column that holds secrets: encrypted with FIELD_KEYS in the database, a plain dict in Python."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models


def _cipher() -> MultiFernet:
    """Encrypts with the first of FIELD_KEYS and decrypts with any, so that keys can be rotated."""
    return MultiFernet(
        [Fernet(base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest())) for key in settings.FIELD_KEYS]
    )


class EncryptedJSONField(models.TextField):  # type: ignore[type-arg]
    """A dict of texts, encrypted at rest. A value no key opens is an error that names the setting, never ciphertext."""

    def get_prep_value(self, value: Any) -> str:
        return _cipher().encrypt(json.dumps(value or {}).encode()).decode()

    def from_db_value(self, value: str | None, expression: object, connection: object) -> dict[str, str]:
        if not value:
            return {}
        try:
            opened: dict[str, str] = json.loads(_cipher().decrypt(value.encode()))
        except InvalidToken as wrong:
            raise ImproperlyConfigured(
                "A stored secret cannot be decrypted: none of FIELD_KEYS is the key it was encrypted with."
            ) from wrong
        return opened

    def to_python(self, value: Any) -> Any:
        return value
