"""The addresses of provider accounts and tokens below /api/v1/."""

from django.urls import path

from smsportal.accounts.views import ProviderAccounts, Tokens

urlpatterns = [
    path("provider-accounts/", ProviderAccounts.as_view({"get": "list"})),
    path("provider-accounts/<uuid:id>/", ProviderAccounts.as_view({"get": "retrieve"})),
    path("provider-accounts/<uuid:id>/check/", ProviderAccounts.as_view({"post": "check"})),
    path("tokens/", Tokens.as_view({"get": "list"})),
    path("tokens/<uuid:id>/", Tokens.as_view({"delete": "destroy"})),
]
