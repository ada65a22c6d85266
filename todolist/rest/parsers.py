"""Reads JSON bodies, and refuses what no client of this API has a reason to send."""

import json
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework import status
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser
from rest_framework.utils.json import strict_constant


class BodyTooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "Request body is larger than 1 MiB"
    default_code = "too_large"


class LimitedJSONParser(BaseParser):
    """JSON as RFC 8259 has it: UTF-8 whatever `charset` says, no NaN, at most `MAX_BODY_SIZE`."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = stream.read(settings.MAX_BODY_SIZE + 1)
        if len(body) > settings.MAX_BODY_SIZE:
            raise BodyTooLarge
        try:
            return json.loads(body.decode("utf-8"), parse_constant=strict_constant)
        except UnicodeDecodeError as error:
            raise ParseError("JSON parse error - the body is not UTF-8") from error
        except RecursionError as error:
            raise ParseError("JSON parse error - nested too deeply") from error
        except ValueError as error:
            raise ParseError(f"JSON parse error - {error}") from error
