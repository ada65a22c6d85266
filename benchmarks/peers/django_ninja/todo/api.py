"""The same tasks with django-ninja, as its documentation shows it."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import jwt
from django.conf import settings
from django.shortcuts import get_object_or_404
from ninja import Field, ModelSchema, NinjaAPI, Query, Schema
from ninja.security import HttpBearer

from todo.models import Task


class User(Schema):
    id: str
    email: str
    name: str


class JWTBearer(HttpBearer):
    def authenticate(self, request, token):
        try:
            claims = jwt.decode(token, settings.JWT_SECRET, algorithms=["HS256"])
            return User(id=claims["sub"], email=claims["email"], name=claims["name"])
        except (jwt.InvalidTokenError, KeyError):
            return None


class TaskOut(ModelSchema):
    class Meta:
        model = Task
        fields = [
            "id",
            "user_id",
            "text",
            "description",
            "completed",
            "completed_at",
            "deadline",
            "order",
            "created_at",
            "updated_at",
        ]


class TaskIn(Schema):
    text: str = Field(min_length=1, max_length=500)
    description: str = Field("", max_length=2000)
    completed: bool = False
    deadline: datetime | None = None
    order: int = 0


class TaskPatch(Schema):
    text: str = Field(None, min_length=1, max_length=500)
    description: str = Field(None, max_length=2000)
    completed: bool = None
    deadline: datetime | None = None
    order: int = None


api = NinjaAPI(auth=JWTBearer())


@api.get("/me", response=User)
def read_me(request):
    return request.auth


@api.get("/tasks", response=list[TaskOut])
def list_tasks(request, limit: Annotated[int, Query(le=1000)] = 50, offset: int = 0):
    return Task.objects.filter(user_id=request.auth.id)[offset : offset + limit]


@api.post("/tasks", response={201: TaskOut})
def create_task(request, payload: TaskIn):
    return 201, Task.objects.create(user_id=request.auth.id, **payload.dict())


@api.get("/tasks/{task_id}", response=TaskOut)
def read_task(request, task_id: UUID):
    return get_object_or_404(Task, id=task_id, user_id=request.auth.id)


@api.patch("/tasks/{task_id}", response=TaskOut)
def update_task(request, task_id: UUID, payload: TaskPatch):
    task = get_object_or_404(Task, id=task_id, user_id=request.auth.id)
    for name, value in payload.dict(exclude_unset=True).items():
        setattr(task, name, value)
    task.save()
    return task
