"""The rows of messaging: templates and senders, batches and their chunks and messages, webhook calls, conversations."""

from messaging.models.alert import Alert, AlertKind
from messaging.models.batch import Attempt, Batch, Chunk, Message, Receipt, Waterfall
from messaging.models.calendar import Holiday, forget_holidays, holidays_of, public_holidays
from messaging.models.conversation import Conversation, Direction, Turn
from messaging.models.heartbeat import Heartbeat
from messaging.models.template import Sender, Template, TemplateVersion
from messaging.models.webhook import CallState, ItemState, WebhookCall, WebhookEndpoint, WebhookItem

__all__ = [
    "Alert",
    "AlertKind",
    "Attempt",
    "Batch",
    "CallState",
    "Chunk",
    "Conversation",
    "Direction",
    "Heartbeat",
    "Holiday",
    "ItemState",
    "Message",
    "Receipt",
    "Sender",
    "Template",
    "TemplateVersion",
    "Turn",
    "Waterfall",
    "WebhookCall",
    "WebhookEndpoint",
    "WebhookItem",
    "forget_holidays",
    "holidays_of",
    "public_holidays",
]
