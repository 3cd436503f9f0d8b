"""The API calls of templates, senders, batches, messages, conversations and webhook calls: thin faces over the verbs."""

from messaging.views.batches import Batches, BatchMessages
from messaging.views.conversations import Conversations
from messaging.views.messages import Messages
from messaging.views.people import BatchPeople
from messaging.views.texts import Senders, Templates
from messaging.views.webhooks import WebhookCalls

__all__ = [
    "BatchMessages",
    "BatchPeople",
    "Batches",
    "Conversations",
    "Messages",
    "Senders",
    "Templates",
    "WebhookCalls",
]
