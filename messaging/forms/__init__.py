"""Forms of batches, templates, single texts and replies, as staff fill them in."""

from messaging.forms.batches import ComposeForm, ToMyselfForm, initial_of, left_behind
from messaging.forms.texts import ReplyForm, SendersForm, SingleForm, TemplateForm

__all__ = [
    "ComposeForm",
    "ReplyForm",
    "SendersForm",
    "SingleForm",
    "TemplateForm",
    "ToMyselfForm",
    "initial_of",
    "left_behind",
]
