"""Every address of the portal: the admin, the API, the webhooks, health."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("api/v1/", include("smsportal.accounts.urls")),
    path("api/v1/", include("contacts.urls")),
    path("api/v1/", include("messaging.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="api-docs"),
    path("", include("messaging.webhook_urls")),
    path("", include("smsportal.health")),
]

handler400 = "smsportal.api.refusals.bad_request"
handler404 = "smsportal.api.refusals.not_found"
handler500 = "smsportal.api.refusals.broken"
