"""The ground app of people, offices and keys."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "smsportal.accounts"
    label = "accounts"
    verbose_name = "People and keys"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from smsportal import checks  # noqa: F401 (importing registers them)
