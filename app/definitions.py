"""A workflow file as the body of a request."""

import asyncio
from pathlib import Path

from .calls import ApiRequest, media_type
from .errors import error_of
from .workflow_file import WorkflowFileError, parse_workflow

SUFFIXES = {"json": ".json", "yaml": ".yaml", "x-yaml": ".yaml"}


async def definition_of(request: ApiRequest) -> str:
    """The JSON for wfg_put_workflow: YAML and JSON are told apart by the content type."""
    suffix = SUFFIXES.get(media_type(request).rpartition("/")[2].rpartition("+")[2])
    if suffix is None:
        raise error_of(415, "unsupported_media_type", "send the file as application/yaml or application/json")
    await request.call("wfg_health")  # seconds of parsing are for those with a token
    try:
        # A large file takes its time: others are answered meanwhile.
        file = await asyncio.to_thread(parse_workflow, Path(f"body{suffix}"), await request.body())
    except WorkflowFileError as error:
        raise error_of(400, "invalid_json" if suffix == ".json" else "invalid_yaml", str(error)) from None
    return file.definition
