"""The addresses of lists, segments, contacts, imports, sync runs and consent below /api/v1/."""

from django.urls import path

from contacts.views import (
    ConsentEvents,
    ContactLists,
    Contacts,
    ImportRows,
    Imports,
    ListContacts,
    ListImports,
    ListSync,
    OptOuts,
    Segments,
    SyncRuns,
)

urlpatterns = [
    path("contact-lists/", ContactLists.as_view({"get": "list", "post": "create"})),
    path(
        "contact-lists/<uuid:id>/",
        ContactLists.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
    ),
    path("contact-lists/<uuid:id>/contacts/", ListContacts.as_view({"get": "list", "post": "create"})),
    path("contact-lists/<uuid:id>/imports/", ListImports.as_view({"get": "list", "post": "create"})),
    path("contact-lists/<uuid:id>/sync/", ListSync.as_view({"post": "plan"})),
    path("contacts/<uuid:id>/", Contacts.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"})),
    path("imports/<uuid:id>/", Imports.as_view({"get": "retrieve", "patch": "partial_update"})),
    path("imports/<uuid:id>/rows/", ImportRows.as_view({"get": "list"})),
    path("imports/<uuid:id>/rows/<int:number>/", ImportRows.as_view({"patch": "partial_update"})),
    path("imports/<uuid:id>/apply/", Imports.as_view({"post": "apply"})),
    path("imports/<uuid:id>/undo/", Imports.as_view({"post": "undo"})),
    path("imports/<uuid:id>/refused.csv", Imports.as_view({"get": "refused"})),
    path("segments/", Segments.as_view({"get": "list", "post": "create"})),
    path("segments/count/", Segments.as_view({"post": "count"})),
    path(
        "segments/<uuid:id>/",
        Segments.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
    ),
    path("segments/<uuid:id>/count/", Segments.as_view({"get": "count_saved"})),
    path("sync-runs/<uuid:id>/", SyncRuns.as_view({"get": "retrieve"})),
    path("sync-runs/<uuid:id>/apply/", SyncRuns.as_view({"post": "apply"})),
    path("opt-outs/", OptOuts.as_view({"get": "list", "post": "create"})),
    path("opt-outs/<uuid:id>/", OptOuts.as_view({"delete": "destroy"})),
    path("consent-events/", ConsentEvents.as_view({"get": "list"})),
]
