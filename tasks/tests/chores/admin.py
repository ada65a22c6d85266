"""The page of chores for staff."""

from django.contrib import admin

from tasks.resources.admin import KeysetAdmin
from tasks.tests.chores.models import Chore


@admin.register(Chore)
class ChoreAdmin(KeysetAdmin):
    list_display = ["text", "user_id", "effort"]
