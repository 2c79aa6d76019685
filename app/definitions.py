"""A workflow file as the body of a request."""

from pathlib import Path

from .calls import ApiRequest
from .errors import error_of
from .workflow_file import WorkflowFileError, parse_workflow

SUFFIXES = {"json": ".json", "yaml": ".yaml", "x-yaml": ".yaml"}


async def definition_of(request: ApiRequest) -> str:
    """The JSON for wfg_put_workflow: YAML and JSON are told apart by the content type."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    suffix = SUFFIXES.get(media.rpartition("/")[2].rpartition("+")[2])
    if suffix is None:
        raise error_of(415, "unsupported_media_type", "send the file as application/yaml or application/json")
    try:
        return parse_workflow(Path(f"body{suffix}"), await request.body()).definition
    except WorkflowFileError as error:
        raise error_of(400, "invalid_json" if suffix == ".json" else "invalid_yaml", str(error)) from None
