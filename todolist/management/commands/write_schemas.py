"""`manage.py write_schemas`: the documents of /schema and /schema/events as files (docs/api.md section 11)."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Write openapi.json and asyncapi.json, as this configuration serves them."
    requires_system_checks = []  # whether routes can be described is seen here

    def add_arguments(self, parser: ArgumentParser) -> None:
        folder = settings.BASE_DIR / "docs"
        parser.add_argument("folder", nargs="?", type=Path, default=folder, help="instead of docs")

    def handle(self, *args: Any, **options: Any) -> None:
        from todolist.docs import asyncapi, openapi

        for module in (openapi, asyncapi):
            name = module.__name__.rpartition(".")[2]
            document = json.loads(module.document("application/json"))
            text = json.dumps(document, indent=2, ensure_ascii=False)
            (options["folder"] / f"{name}.json").write_text(text + "\n", encoding="utf-8")
