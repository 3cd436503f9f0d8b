"""Keeps templates: every new wording is a new version, so that a batch goes on saying what it was approved to say."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from messaging import channels, wording
from messaging.models import Template, TemplateVersion
from smsportal.accounts.models import Unit, User
from smsportal.problems import Changed, Wrong
from smsportal.text import clean


def create_template(*, actor: User | None, unit: Unit, name: str, text: str) -> Template:
    """A new template with its first version. Raises Wrong for a bad or taken name and for a bad text."""
    words = _words(text)
    with transaction.atomic():
        template = Template(unit=unit, name=_name(name, unit))
        template.save()
        TemplateVersion.objects.create(template=template, version=1, text=words, author=actor)
    return template


def change_template(
    template: Template,
    *,
    actor: User | None,
    name: str | None = None,
    text: str | None = None,
    version: int | None = None,
) -> Template:
    """Rename a template or give it a new wording; `version` is the one the caller has seen.

    Batches keep the version they were made with. Raises Wrong, and Changed when somebody else was first.
    """
    newest = template.newest()
    number = newest.version if newest else 0
    if version is not None and version != number:
        raise _changed(template)
    words = None if text is None else _words(text)
    try:
        with transaction.atomic():
            if name is not None:
                template.name = _name(name, template.unit, but=template)
            template.save(update_fields=["name", "updated_at"])
            if words is not None and (newest is None or words != newest.text):
                TemplateVersion.objects.create(template=template, version=number + 1, text=words, author=actor)
    except IntegrityError:
        raise _changed(template) from None
    return template


def segments(text: str, channel: str = "sms") -> int:
    """How many segments a template takes at least: its words with fallbacks, without what people's fields add."""
    least: int = channels.get(channel).count(wording.literal(text))
    return least


def _changed(template: Template) -> Changed:
    return Changed(f"“{template.name}” was changed meanwhile. Look at its newest text and change that.")


def _name(name: str, unit: Unit, but: Template | None = None) -> str:
    plain = clean(name).strip()
    sentence = ""
    if not plain or len(plain) > 120:
        sentence = "Give the template a name of at most 120 characters."
    elif Template.objects.filter(unit=unit, name=plain).exclude(pk=but.pk if but else None).exists():
        sentence = f"{unit} already has a template “{plain}”; choose another name."
    if sentence:
        raise Wrong(sentence, errors={"name": [sentence]})
    return plain


def _words(text: str) -> str:
    words = clean(text).replace("\r\n", "\n")
    if not words.strip():
        raise Wrong("Write a text.", errors={"text": ["Write a text."]})
    wording.parse(words)
    return words
