"""The same tasks with FastAPI, SQLModel and asyncpg, as their documentation shows it."""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID, uuid4

import jwt
from fastapi import Depends, FastAPI, HTTPException, Query
from fastapi.middleware.cors import CORSMiddleware
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlmodel import DateTime, Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

SECRET = os.environ["JWT_SECRET"]

engine = create_async_engine(
    os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://"),
    pool_size=20,  # in each worker, all kept; the default opens new ones in every burst
    max_overflow=0,
)
sessions = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)


def now() -> datetime:
    return datetime.now(UTC)


class User(SQLModel):
    id: str
    email: str
    name: str


class TaskBase(SQLModel):
    text: str = Field(min_length=1, max_length=500)
    description: str = Field(default="", max_length=2000)
    completed: bool = False
    deadline: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    order: int = 0


class Task(TaskBase, table=True):
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    user_id: str = Field(index=True, max_length=255)
    completed_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    created_at: datetime = Field(default_factory=now, sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(default_factory=now, sa_type=DateTime(timezone=True))


class TaskCreate(TaskBase):
    pass


class TaskUpdate(SQLModel):
    text: str | None = Field(default=None, min_length=1, max_length=500)
    description: str | None = Field(default=None, max_length=2000)
    completed: bool | None = None
    deadline: datetime | None = None
    order: int | None = None


class TaskPublic(TaskBase):
    id: UUID
    user_id: str
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime


async def get_session() -> AsyncIterator[AsyncSession]:
    async with sessions() as session:
        yield session


async def get_user(
    credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())],
) -> User:
    try:
        claims = jwt.decode(credentials.credentials, SECRET, algorithms=["HS256"])
        return User(id=claims["sub"], email=claims["email"], name=claims["name"])
    except (jwt.InvalidTokenError, KeyError):
        raise HTTPException(status_code=401, detail="Invalid token") from None


SessionDep = Annotated[AsyncSession, Depends(get_session)]
UserDep = Annotated[User, Depends(get_user)]

app = FastAPI()
app.add_middleware(
    CORSMiddleware,
    allow_origins=["http://localhost:3000"],
    allow_methods=["*"],
    allow_headers=["*"],
)


async def own_task(task_id: UUID, session: SessionDep, user: UserDep) -> Task:
    task = await session.get(Task, task_id)
    if task is None:
        raise HTTPException(status_code=404, detail="Task not found")
    if task.user_id != user.id:
        raise HTTPException(status_code=403, detail="Access denied")
    return task


TaskDep = Annotated[Task, Depends(own_task)]


@app.get("/me", response_model=User)
async def read_me(user: UserDep):
    return user


@app.get("/tasks", response_model=list[TaskPublic])
async def read_tasks(
    session: SessionDep,
    user: UserDep,
    offset: int = 0,
    limit: Annotated[int, Query(le=1000)] = 50,
):
    tasks = await session.exec(
        select(Task)
        .where(Task.user_id == user.id)
        .order_by(col(Task.created_at).desc(), col(Task.id).desc())
        .offset(offset)
        .limit(limit)
    )
    return tasks.all()


@app.post("/tasks", response_model=TaskPublic, status_code=201)
async def create_task(task: TaskCreate, session: SessionDep, user: UserDep):
    db_task = Task.model_validate(task, update={"user_id": user.id})
    if db_task.completed:
        db_task.completed_at = db_task.created_at
    session.add(db_task)
    await session.commit()
    await session.refresh(db_task)
    return db_task


@app.get("/tasks/{task_id}", response_model=TaskPublic)
async def read_task(task: TaskDep):
    return task


@app.patch("/tasks/{task_id}", response_model=TaskPublic)
async def update_task(change: TaskUpdate, db_task: TaskDep, session: SessionDep):
    was_completed = db_task.completed
    db_task.sqlmodel_update(change.model_dump(exclude_unset=True))
    db_task.updated_at = now()
    if db_task.completed != was_completed:
        db_task.completed_at = db_task.updated_at if db_task.completed else None
    session.add(db_task)
    await session.commit()
    await session.refresh(db_task)
    return db_task
