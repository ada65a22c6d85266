"""What requests are refused for, and the headers of conditions and repeats, as OpenAPI has them."""

from todolist.docs.components import Schema, ref, string

RETRY_AFTER: Schema = {
    "description": "Seconds to wait before the next try",
    "required": True,
    "schema": string(pattern="^[0-9]+$"),
}
LINK: Schema = {
    "description": 'Where the list goes on, if it does: `<URL>; rel="next"`',
    "schema": string(pattern='^<.+>; rel="next"$'),
}
ETAG: Schema = {
    "description": "The version in quotes, for `If-Match`",
    "required": True,
    "schema": string(),
}
LOCATION: Schema = {
    "description": "Where the new one is",
    "required": True,
    "schema": string(format="uri"),
}
CHALLENGE: Schema = {
    "description": '`Bearer`; with `error="invalid_token"` where a token was sent',
    "required": True,
    "schema": string(pattern="^Bearer"),
}


def _header(name: str, description: str, **schema: object) -> Schema:
    return {"in": "header", "name": name, "schema": string(**schema), "description": description}


IF_MATCH = _header("If-Match", "Only if it is still the version with this `ETag`.")
IF_NONE_MATCH = _header("If-None-Match", "Answer 304 if it is still the version with this `ETag`.")
IDEMPOTENCY_KEY = _header(
    "Idempotency-Key",
    "Chosen by the client, once for each thing it means to create. Sent again within 24 hours with "
    "the same body, it creates nothing and is answered as the first time.",
    minLength=1,
    maxLength=255,
    pattern=r"^[\x20-\x7e]+$",
)


def _refused(description: str, body: str = "Error", **headers: Schema) -> Schema:
    refused: Schema = {
        "description": description,
        "content": {"application/json": {"schema": ref(body)}},
    }
    if headers:
        refused["headers"] = {name.replace("_", "-"): header for name, header in headers.items()}
    return refused


def refusals(
    *,
    negotiated: bool,
    signed_in: bool,
    somebodys: bool,
    queried: bool,
    has_body: bool,
    creates: bool,
    changes: bool,
) -> dict[str, Schema]:
    """What an operation may be refused for, by status."""
    found: dict[str, Schema] = {}
    if has_body:
        found["400"] = _refused("The body is wrong: what is wrong with which field", "BadBody")
    elif queried:
        found["400"] = _refused("A parameter is wrong; the sentence names it")
    if signed_in:
        found["401"] = _refused(
            "No token, or one that is not accepted, and why", WWW_Authenticate=CHALLENGE
        )
        found["503"] = _refused(
            "What is needed does not answer at the moment", Retry_After=RETRY_AFTER
        )
    if somebodys:
        found["403"] = _refused("It is somebody else's")
        found["404"] = _refused("There is no such id")
    if negotiated:
        found["406"] = _refused("`Accept` excludes everything that there is")
    if creates:
        found["409"] = _refused(
            "The first request with this key is still running", Retry_After=RETRY_AFTER
        )
        found["422"] = _refused("The key was used with another body")
    if changes:
        found["412"] = _refused("`If-Match` names another version; nothing was changed")
    if has_body:
        found["413"] = _refused("The body is larger than 1 MiB")
        found["415"] = _refused("The body is not `application/json`")
    return found
