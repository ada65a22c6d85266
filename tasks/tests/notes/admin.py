"""The pages of notes and tags for staff."""

from django.contrib import admin

from tasks.resources.admin import KeysetAdmin
from tasks.tests.notes.models import Note, Tag

admin.site.register([Note, Tag], KeysetAdmin)
