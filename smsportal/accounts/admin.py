"""People and keys in the admin: units, people, roles, API tokens, provider accounts."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, Permission
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.html import format_html
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminSelect2MultipleWidget

from smsportal.accounts.forms import SECRET, AccountForm, TokenForm, secrets_of
from smsportal.accounts.models import ApiToken, ProviderAccount, Unit, User
from smsportal.accounts.pages import PortalAdmin
from smsportal.accounts.parts import Fact, deed
from smsportal.problems import Conflict
from smsportal.providers.errors import ProviderError

OWN_APPS = ("accounts", "auth", "contacts", "messaging")

admin.site.unregister(Group)
admin.site.site_header = admin.site.site_title = "SMS portal"
admin.site.index_title = "Home"


@admin.register(Unit)
class UnitAdmin(PortalAdmin):
    """The offices."""

    intro = "A unit is an office. It owns lists, templates and batches; people see what their units own."
    empty_text = "Add a unit for every office that texts students, then put its people into it."
    list_display = ("name", "time_zone", "people")
    search_fields = ("name",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).annotate(people=Count("members"))

    @display(description="People", ordering="people")
    def people(self, unit: Any) -> int:
        return int(unit.people)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # what it owns would go with it or refuse


@admin.register(User)
class UserAdmin(PortalAdmin, DjangoUserAdmin):  # type: ignore[type-arg,misc]
    """The people who sign in, and the programs that call the API."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    intro = (
        "People sign in here; programs get a person of their own and an API token. What they may do comes from roles."
    )
    list_display = ("username", "get_full_name", "email", "roles", "offices", "is_active", "last_login")
    list_filter = ("is_active", "is_staff", ("groups", admin.RelatedFieldListFilter))
    search_fields = ("username", "first_name", "last_name", "email")
    ordering = ("username",)
    autocomplete_fields = ("units", "groups")
    fieldsets = (
        (None, {"fields": ("username", "password", ("first_name", "last_name"), "email")}),
        ("What they see and do", {"fields": ("units", "groups", "is_active", "is_staff", "is_superuser")}),
        ("Dates", {"fields": (("last_login", "date_joined"),)}),
    )
    add_fieldsets = (
        (None, {"fields": ("username", "usable_password", "password1", "password2")}),
        ("What they see and do", {"fields": ("units", "groups", "is_staff")}),
    )
    readonly_fields = ("last_login", "date_joined")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("groups", "units")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Only a superuser makes superusers."""
        base = tuple(super().get_readonly_fields(request, obj))
        return base if request.user.is_superuser else (*base, "is_superuser")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is not None and obj.is_superuser and not request.user.is_superuser:
            return False
        return bool(super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # history names people: switch them off instead

    @display(description="Roles")
    def roles(self, user: User) -> str:
        return ", ".join(group.name for group in user.groups.all()) or "none"

    @display(description="Units")
    def offices(self, user: User) -> str:
        return ", ".join(unit.name for unit in user.units.all()) or "none"


@admin.register(Group)
class GroupAdmin(PortalAdmin, DjangoGroupAdmin):  # type: ignore[misc]
    """The roles."""

    intro = "A role is a set of rights. The portal brings five; put people into them on their own page."
    list_display = ("name", "people")
    ordering = ("name",)
    search_fields = ("name",)
    filter_horizontal = ()

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest | None = None, **kwargs: Any) -> Any:
        """The rights of the portal's own tables, in a box that fits a phone."""
        kwargs["widget"] = UnfoldAdminSelect2MultipleWidget
        kwargs["queryset"] = Permission.objects.filter(content_type__app_label__in=OWN_APPS).select_related(
            "content_type"
        )
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).annotate(people=Count("user"))

    @display(description="People", ordering="people")
    def people(self, group: Any) -> int:
        return int(group.people)


@admin.register(ApiToken)
class ApiTokenAdmin(PortalAdmin):
    """Keys of programs: made here, shown once, withdrawn here."""

    form = TokenForm
    intro = "A token lets a program work in the name of a person. It is shown once, when it is made."
    empty_title = "No program has a token"
    empty_text = "Add one for each program, so that each can be withdrawn by itself."
    list_display = ("name", "begins", "user", "may", "created", "expiry", "last_used_at")
    list_select_related = ("user",)
    search_fields = ("name", "user__username", "token_key")
    autocomplete_fields = ("user",)
    deeds = ("withdraw",)

    @display(description="Begins with")
    def begins(self, token: ApiToken) -> str:
        return f"{token.token_key}…"

    @display(description="May")
    def may(self, token: ApiToken) -> str:
        return ", ".join(token.scopes)

    def facts(self, request: HttpRequest, row: ApiToken) -> list[Fact]:
        return [
            Fact("Begins with", f"{row.token_key}…"),
            Fact("Person", row.user),
            Fact("May", ", ".join(row.scopes)),
            Fact("Made", row.created),
            Fact("Valid until", row.expiry or "withdrawn by hand"),
            Fact("Last used", row.last_used_at or "never"),
        ]

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        made, token = ApiToken.objects.create(  # type: ignore[no-untyped-call]
            user=obj.user, name=obj.name, scopes=form.cleaned_data["scopes"]
        )
        obj.pk, obj.token_key = made.pk, made.token_key
        shown = format_html("Copy the token now; it is never shown again: <code>{}</code>", token)
        messages.warning(request, shown)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @deed(
        "Withdraw the token",
        permission="accounts.delete_apitoken",
        tone="danger",
        question=lambda token: ["The program that uses it is refused from then on. This cannot be undone."],
    )
    def withdraw(self, request: HttpRequest, token: ApiToken) -> HttpResponse:
        name = token.name
        token.delete()
        messages.success(request, f"The token {name} is withdrawn.")
        return redirect(self.url("changelist"))


@admin.register(ProviderAccount)
class ProviderAccountAdmin(PortalAdmin):
    """The accounts at providers, with their circuit."""

    form = AccountForm
    intro = "An account is where texts leave and lists are mirrored. Its credentials go in here and never come out."
    empty_title = "No account to send through"
    empty_text = "Run manage.py sync_accounts to make the accounts of the environment, or add one here."
    list_display = ("name", "provider", "kind", "circuit", "credentials", "operator")
    list_filter = ("provider", "is_sandbox", "is_active", "circuit_open")
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}
    deeds = ("check_connection", "close_circuit")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is not None:
            kwargs["fields"] = [*AccountForm.Meta.fields]
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        main = ("Account", {"fields": ("provider", "name", "slug", "base_url", "operator", "is_sandbox", "is_active")})
        names = [SECRET + secret.key for secret in secrets_of(obj.provider)] if obj is not None else []
        secrets = (
            "Credentials",
            {"fields": names, "description": "Written only: nobody can read them here again."},
        )
        return [main, *([secrets] if names else []), ("Options", {"fields": ("options",), "classes": ("collapse",)})]

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        return {} if obj is not None else dict(self.prepopulated_fields)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        messages.info(request, "Now enter the credentials and check the connection.")
        return redirect(self.url("change", obj.pk))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # lists and batches hang on it: switch it off instead

    @display(description="Texts", label={"Sandbox": "warning", "Real": "success", "Off": "danger"})
    def kind(self, account: ProviderAccount) -> str:
        return "Off" if not account.is_active else "Sandbox" if account.is_sandbox else "Real"

    @display(description="Sending", label={"Stopped by an error": "danger", "Runs": "success"})
    def circuit(self, account: ProviderAccount) -> str:
        return "Stopped by an error" if account.circuit_open else "Runs"

    @display(description="Credentials")
    def credentials(self, account: ProviderAccount) -> str:
        missing = [each.label for each in secrets_of(account.provider) if not account.secrets.get(each.key)]
        return f"missing: {', '.join(missing)}" if missing else "stored"

    def facts(self, request: HttpRequest, row: ProviderAccount) -> list[Fact]:
        found = [
            Fact("Texts", self.kind(row), "warn" if row.is_sandbox else "good" if row.is_active else "bad"),
            Fact("Sending", self.circuit(row), "bad" if row.circuit_open else "good"),
        ]
        if row.circuit_open:
            found.append(Fact("Why it stopped", row.circuit_reason or "not said"))
        if row.paused_until:
            found.append(Fact("Is tried again" if row.circuit_open else "Waits until", row.paused_until))
        return [*found, Fact("Credentials", self.credentials(row))]

    @deed("Check the connection", permission="accounts.check_provideraccount", tone="primary")
    def check_connection(self, request: HttpRequest, account: ProviderAccount) -> str:
        try:
            account.at_provider().check()
        except ProviderError as wrong:
            raise Conflict(f"{account} did not answer as it should: {wrong.text}") from wrong
        return f"{account} answers, and takes these credentials."

    @deed(
        "Send through it again",
        permission="accounts.change_provideraccount",
        tone="danger",
        question=lambda account: [
            f"It was stopped because: {account.circuit_reason or 'not said'}",
            "The portal tries it again by itself, after rests that grow to a quarter of an hour. Do this only when the cause is mended: texts leave at once.",
        ],
        when=lambda account: account.circuit_open,
    )
    def close_circuit(self, request: HttpRequest, account: ProviderAccount) -> str:
        ProviderAccount.objects.filter(pk=account.pk).update(circuit_open=False, circuit_reason="", paused_until=None)
        return "Texts leave again, one request first: if it is answered badly, the account is stopped again."
