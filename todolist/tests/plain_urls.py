"""The routes of the tests, where each viewset overrides a hook to do nothing: so they go the plain way."""

from typing import Any

from tasks.api.urls import OptionalSlashRouter
from tasks.api.urls import router as tasks
from tasks.tests.chores.api import router as chores
from tasks.tests.notes.api import router as notes
from todolist.tests import urls


def plain(view_class: Any) -> Any:
    def get_queryset(self: Any) -> Any:
        return super(made, self).get_queryset()

    made: Any = type(view_class.__name__, (view_class,), {"get_queryset": get_queryset})
    return made


router = OptionalSlashRouter()
for prefix, view_class, basename in [*tasks.registry, *notes.registry, *chores.registry]:
    router.register(prefix, plain(view_class), basename=basename)

urlpatterns = [*router.urls, *urls.urlpatterns]
handler400, handler500 = urls.handler400, urls.handler500
