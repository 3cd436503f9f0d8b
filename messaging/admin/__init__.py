"""Batches, messages, replies and reports in the admin: batch → preview → start → watch."""

from messaging.admin import alerts, batches, conversations, holidays, messages, templates, webhooks

__all__ = ["alerts", "batches", "conversations", "holidays", "messages", "templates", "webhooks"]
