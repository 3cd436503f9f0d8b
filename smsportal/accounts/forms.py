"""Forms of people, tokens and provider accounts; secrets go in and never come out."""

from __future__ import annotations

from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminTextInputWidget,
    UnfoldAdminURLInputWidget,
)

from smsportal import providers
from smsportal.accounts.models import ApiToken, ProviderAccount
from smsportal.api.rights import SCOPES
from smsportal.providers.base import Secret

SECRET = "secret_"


def secrets_of(provider: str) -> tuple[Secret, ...]:
    """The credentials accounts of `provider` need; none for an unknown provider."""
    return providers.get(provider).secrets if provider in providers.PROVIDERS else ()


class AccountForm(forms.ModelForm):  # type: ignore[type-arg]
    """An account with one write-only input per secret its provider declares. A blank input keeps what is stored."""

    base_url = forms.URLField(
        label="Address",
        assume_scheme="https",
        widget=UnfoldAdminURLInputWidget,
        help_text="Where the provider's API begins, without a slash at the end.",
    )

    class Meta:
        model = ProviderAccount
        fields = ("provider", "name", "slug", "base_url", "operator", "options", "is_sandbox", "is_active")
        labels = {"slug": "Short name", "is_sandbox": "Sandbox", "is_active": "In use"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for secret in secrets_of(self.instance.provider):
            stored = secret.key in self.instance.secrets
            self.fields[SECRET + secret.key] = forms.CharField(
                label=secret.label,
                required=False,
                strip=True,
                widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
                help_text="Stored, and never shown again. Leave blank to keep it." if stored else "Not stored yet.",
            )

    def save(self, commit: bool = True) -> ProviderAccount:
        given = {
            name.removeprefix(SECRET): value
            for name, value in self.cleaned_data.items()
            if name.startswith(SECRET) and value
        }
        self.instance.secrets = {**self.instance.secrets, **given}
        saved: ProviderAccount = super().save(commit)
        return saved


class TokenForm(forms.ModelForm):  # type: ignore[type-arg]
    """A new API token: for whom, what for and what it may do."""

    scopes = forms.MultipleChoiceField(
        choices=list(SCOPES.items()),
        initial=["all"],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="The program can never do more than its person may do.",
    )

    class Meta:
        model = ApiToken
        fields = ("user", "name", "scopes")
        widgets = {"name": UnfoldAdminTextInputWidget}
