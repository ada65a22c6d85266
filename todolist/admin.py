"""Accounts of staff in the admin: Django's own pages, narrowed by their filters only."""

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User

from tasks.resources.admin import OnlyFilters

admin.site.unregister([User, Group])


@admin.register(User)
class StaffAdmin(OnlyFilters, UserAdmin):  # type: ignore[type-arg]
    pass


@admin.register(Group)
class StaffGroupAdmin(OnlyFilters, GroupAdmin):
    pass
