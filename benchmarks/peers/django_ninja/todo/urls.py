from django.urls import path

from todo.api import api

urlpatterns = [path("", api.urls)]
