"""Where providers call: with and without the slash at the end, since a redirect would lose the body of a POST."""

from __future__ import annotations

from django.urls import path

from messaging.webhooks import receive

urlpatterns = [
    path("hooks/<str:provider>/<str:token>/", receive, name="webhook"),
    path("hooks/<str:provider>/<str:token>", receive),
]
