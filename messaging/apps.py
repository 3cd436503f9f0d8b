"""The app of messages."""

from django.apps import AppConfig


class MessagingConfig(AppConfig):
    name = "messaging"
    verbose_name = "Messaging"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Let contacts know when a list or segment is in use; contacts itself knows of no batches."""
        from contacts.busy import BUSY
        from messaging.controls import busy

        BUSY.append(busy)
