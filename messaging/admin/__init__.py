"""Batches, messages, replies and reports in the admin: batch → preview → start → watch."""

from messaging.admin import batches, conversations, messages, templates, webhooks

__all__ = ["batches", "conversations", "messages", "templates", "webhooks"]
