"""The ground app of mirroring."""

from django.apps import AppConfig


class MirrorConfig(AppConfig):
    name = "smsportal.mirror"
    label = "mirror"
    default_auto_field = "django.db.models.BigAutoField"
