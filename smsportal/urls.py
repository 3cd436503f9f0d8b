"""Every address of the portal: the admin, the API, the webhooks, health."""

from django.contrib import admin
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls)]
