"""What every API call shares: who may do it, how it pages, how it refuses, how it is repeated safely.

The names here are what settings.py gives to the REST framework, so nothing here may import its views; the base class
of our own views is in `smsportal.api.views`.
"""

from smsportal.api.bodies import StrictJSONParser
from smsportal.api.pages import Pages
from smsportal.api.refusals import as_problem
from smsportal.api.rights import MayDoThis
from smsportal.api.tokens import BearerToken

__all__ = ["BearerToken", "MayDoThis", "Pages", "StrictJSONParser", "as_problem"]
