"""The API for programs of staff: what the pages do, as JSON, described by /openapi.json."""
