"""The query parameters templates, senders, batches, messages, conversations and webhook calls can be filtered by."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import Q, QuerySet

from contacts.filters import ByNumberFilter, YesOrNoFilter, number_like
from messaging.models import CallState
from messaging.statuses import DELIVERY_WORDS, BatchState, ChunkState, MessageState, Reason

_RANKS = {word: rank for rank, word in DELIVERY_WORDS.items()}


class TemplateFilter(django_filters.FilterSet):
    """`search` looks into names."""

    search = django_filters.CharFilter(field_name="name", lookup_expr="icontains")


class SenderFilter(django_filters.FilterSet):
    """The senders of one account, or those an operator may use."""

    account = django_filters.CharFilter(field_name="account__slug")
    operator = django_filters.CharFilter(method="usable_by")

    def usable_by(self, senders: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return senders.filter(Q(operator__iexact=value) | Q(operator=""))


class BatchFilter(django_filters.FilterSet):
    """`search` looks into names."""

    search = django_filters.CharFilter(field_name="name", lookup_expr="icontains")
    state = django_filters.ChoiceFilter(choices=BatchState.choices)
    list = django_filters.UUIDFilter(field_name="lists__uuid")
    segment = django_filters.UUIDFilter(field_name="segments__uuid")


class MessageFilter(django_filters.FilterSet):
    """`search` looks into texts, numbers and names; `state` means what a message and the counts of its batch show."""

    search = django_filters.CharFilter(method="find")
    state = django_filters.ChoiceFilter(method="standing", choices=MessageState.choices)
    delivery = django_filters.ChoiceFilter(method="reported", choices=[(word, word) for word in _RANKS])
    reason = django_filters.ChoiceFilter(choices=[choice for choice in Reason.choices if choice[0]])
    error_code = django_filters.CharFilter()

    def find(self, messages: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        named = Q(contact__first_name__icontains=value) | Q(contact__last_name__icontains=value)
        return messages.filter(Q(text__icontains=value) | named | number_like(value, "number__e164"))

    def standing(self, messages: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """A claim is written on the chunk alone: what waits in a claimed chunk counts as claimed."""
        waiting, taken = [MessageState.READY, MessageState.HELD], Q(chunk__state=ChunkState.CLAIMED)
        if value == MessageState.CLAIMED:
            return messages.filter(taken, state__in=waiting)
        found = messages.filter(state=value)
        return found.exclude(taken) if value in waiting else found

    def reported(self, messages: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return messages.filter(delivery=_RANKS[value])


class ConversationFilter(ByNumberFilter):
    """Those somebody must look at, those through one account, the one with a number."""

    needs_attention = YesOrNoFilter()
    account = django_filters.CharFilter(field_name="account__slug")


class WebhookCallFilter(django_filters.FilterSet):
    """By state and account."""

    state = django_filters.ChoiceFilter(choices=CallState.choices)
    account = django_filters.CharFilter(field_name="account__slug")
