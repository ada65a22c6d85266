"""The routes of the project, and of the applications that only the tests have."""

from tasks.tests.chores.api import router as chores
from tasks.tests.notes.api import router as notes
from todolist import urls
from todolist.urls import handler400, handler500

__all__ = ["handler400", "handler500", "urlpatterns"]

*project, everything_else = urls.urlpatterns
urlpatterns = [*project, *notes.urls, *chores.urls, everything_else]
