"""What views answer with."""

from rest_framework import response


class Response(response.Response):
    """REST framework's, which writes UTF-8 without looking that up in its own headers."""

    charset = "utf-8"
