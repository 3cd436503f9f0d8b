"""The admin's sidebar and environment badge."""


def environment(request):
    return None


def sidebar(request):
    return []
