"""Plugs the makers and the in-process twin into every test."""

pytest_plugins = ["smsportal.tests.world", "smsportal.tests.children"]
