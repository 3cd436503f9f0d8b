"""The API calls of conversations: the inbox, one thread, answering, and the provider's own transcript."""

from __future__ import annotations

from typing import Any

from django.db.models.functions import Coalesce
from rest_framework.request import Request
from rest_framework.response import Response

from messaging import conversations
from messaging.filters import ConversationFilter
from messaging.models import Conversation
from messaging.serializers.messages import (
    ConversationSerializer,
    LineSerializer,
    MessageSerializer,
    ReplySerializer,
    ThreadSerializer,
    TranscriptSerializer,
)
from smsportal import doorbell
from smsportal.api.rights import Call
from smsportal.api.views import View


class Conversations(View):
    """The threads with the people a unit writes to."""

    model = Conversation
    serializer_class = ConversationSerializer
    filterset_class = ConversationFilter
    orderings = {"-last_at": ("-said_at", "-id")}
    calls = {
        "list": Call("messaging.view_conversation", "sends:read"),
        "retrieve": Call("messaging.view_conversation", "sends:read", gives=ThreadSerializer),
        "reply": Call("messaging.send_batch", "sends:create", ReplySerializer, gives=MessageSerializer, status=202),
        "refresh": Call("messaging.view_conversation", "sends:read", gives=TranscriptSerializer, asks_provider=True),
    }

    def rows(self) -> Any:
        dated = super().rows().annotate(said_at=Coalesce("last_at", "created_at"))
        return dated.select_related("account", "number")

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One conversation with everything said in it, oldest first."""
        conversation = self.get_object()
        turns = conversations.thread(conversation, viewer=request.user)
        shown = ConversationSerializer(conversation).data
        return Response({**shown, "turns": LineSerializer(turns, many=True).data})

    def reply(self, request: Request, **_: Any) -> Response:
        """Answer the person from where the last text to them came."""
        message = conversations.reply(self.get_object(), actor=self.actor, text=self.given()["text"])
        doorbell.ring("sending")
        return self.answer(message)

    def refresh(self, request: Request, **_: Any) -> Response:
        """Ask the provider for its own transcript of the conversation. Nothing of it is stored."""
        conversation = self.get_object()
        provider = conversation.account.at_provider()
        turns = provider.transcript(conversation.account.operator, conversation.number.e164)
        return self.answer({"turns": turns})
