"""The addresses of templates, senders, batches, messages, conversations and webhook calls below /api/v1/."""

from django.urls import path

from messaging.views import Batches, BatchMessages, Conversations, Messages, Senders, Templates, WebhookCalls

urlpatterns = [
    path("templates/", Templates.as_view({"get": "list", "post": "create"})),
    path("templates/<uuid:id>/", Templates.as_view({"get": "retrieve", "patch": "partial_update"})),
    path("senders/", Senders.as_view({"get": "list"})),
    path("senders/refresh/", Senders.as_view({"post": "refresh"})),
    path("batches/", Batches.as_view({"get": "list", "post": "create"})),
    path("batches/<uuid:id>/", Batches.as_view({"get": "retrieve", "patch": "partial_update"})),
    path("batches/<uuid:id>/preview/", Batches.as_view({"post": "preview"})),
    path("batches/<uuid:id>/submit/", Batches.as_view({"post": "submit"})),
    path("batches/<uuid:id>/approve/", Batches.as_view({"post": "approve"})),
    path("batches/<uuid:id>/reject/", Batches.as_view({"post": "reject"})),
    path("batches/<uuid:id>/start/", Batches.as_view({"post": "start"})),
    path("batches/<uuid:id>/pause/", Batches.as_view({"post": "pause"})),
    path("batches/<uuid:id>/resume/", Batches.as_view({"post": "resume"})),
    path("batches/<uuid:id>/cancel/", Batches.as_view({"post": "cancel"})),
    path("batches/<uuid:id>/retry-failed/", Batches.as_view({"post": "retry_failed"})),
    path("batches/<uuid:id>/messages/", BatchMessages.as_view({"get": "list"})),
    path("messages/", Messages.as_view({"post": "create"})),
    path("messages/<uuid:id>/", Messages.as_view({"get": "retrieve"})),
    path("conversations/", Conversations.as_view({"get": "list"})),
    path("conversations/<uuid:id>/", Conversations.as_view({"get": "retrieve"})),
    path("conversations/<uuid:id>/reply/", Conversations.as_view({"post": "reply"})),
    path("conversations/<uuid:id>/refresh/", Conversations.as_view({"post": "refresh"})),
    path("webhook-calls/", WebhookCalls.as_view({"get": "list"})),
    path("webhook-calls/<uuid:id>/", WebhookCalls.as_view({"get": "retrieve"})),
    path("webhook-calls/<uuid:id>/replay/", WebhookCalls.as_view({"post": "replay"})),
]
