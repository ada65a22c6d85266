from django.urls import path
from rest_framework.routers import DefaultRouter

from todo.views import MeView, TaskViewSet

router = DefaultRouter(trailing_slash=False)
router.register("tasks", TaskViewSet, basename="task")

urlpatterns = [path("me", MeView.as_view()), *router.urls]
