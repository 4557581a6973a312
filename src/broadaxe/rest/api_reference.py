"""The HTTP API as a page, made from its own OpenAPI description.

Owns the rendering only; the description itself is at /api/openapi.json. We render it ourselves because the usual
viewers load their code from the network, which an engine on an isolated machine does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any, Final

from starlette.responses import HTMLResponse

from broadaxe.rest.page import Link, render_page

__all__ = ["ApiReference"]

_VERBS: Final = ("get", "post", "put", "patch", "delete")

Node = Mapping[str, Any]


class ApiReference:
    def __init__(self, describe: Callable[[], Node]) -> None:
        self._describe = describe
        self._html: str | None = None

    async def page(self) -> HTMLResponse:
        if self._html is None:
            self._html = _render(self._describe())
        return HTMLResponse(self._html)


def _render(description: Node) -> str:
    sections: dict[str, list[str]] = {}
    for path, operations in description["paths"].items():
        for verb in _VERBS:
            if verb in operations:
                operation = operations[verb]
                sections.setdefault(operation.get("tags", ["other"])[0], []).append(_operation(verb, path, operation))
    body = (
        "<h1>HTTP API</h1><p>Send an API token as <code>Authorization: Bearer …</code>, or log in. "
        "Errors have the shape "
        '<code>{"errors":[{"description":"…","field":"…"}],"message":"…","code":"…"}</code>. '
        'For machines: <a href="/api/openapi.json">openapi.json</a>.</p>'
    )
    for name, entries in sections.items():
        body += f'<h2 id="{_anchor(name)}">{escape(_title(name))}</h2>{"".join(entries)}'
    schemas = description.get("components", {}).get("schemas", {})
    body += '<h2 id="schemas">Schemas</h2>'
    for name in sorted(schemas):
        body += (
            f'<details id="schema-{escape(name)}"><summary><code>{escape(name)}</code></summary>'
            f"{_fields(schemas[name])}</details>"
        )
    links = [Link(f"#{_anchor(name)}", _title(name)) for name in sections]
    return render_page("HTTP API", body, [Link("/docs/", "Documentation"), *links, Link("#schemas", "Schemas")], "")


def _operation(verb: str, path: str, operation: Node) -> str:
    parts = [f"<p>{escape(operation['description'])}</p>" if operation.get("description") else ""]
    parameters = [entry for entry in operation.get("parameters", []) if entry["in"] != "path"]
    if parameters:
        rows = "".join(_row(entry["name"], entry["schema"], bool(entry.get("required"))) for entry in parameters)
        parts.append(f"<p>Query</p>{_table(rows)}")
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body is not None:
        parts.append(f"<p>Body: {_type(body)}</p>")
    for status, answer in operation.get("responses", {}).items():
        schema = answer.get("content", {}).get("application/json", {}).get("schema")
        if status.startswith("2"):
            parts.append(f"<p>Answer {escape(status)}: {_type(schema) if schema else 'no body'}</p>")
    return (
        f'<details><summary><span class="verb">{verb.upper()}</span><code>{escape(path)}</code></summary>'
        f"{''.join(parts)}</details>"
    )


_HEAD: Final = "<tr><th>Name</th><th>Type</th><th>Notes</th></tr>"


def _fields(schema: Node) -> str:
    if "enum" in schema:
        return f"<p>{_type(schema)}</p>"
    required = set(schema.get("required", []))
    rows = "".join(_row(name, field, name in required) for name, field in schema.get("properties", {}).items())
    text = f"<p>{escape(schema['description'])}</p>" if schema.get("description") else ""
    return f"{text}{_table(rows)}"


def _table(rows: str) -> str:
    # The keyboard scrolls only what it can reach.
    return f'<div class="table" tabindex="0"><table>{_HEAD}{rows}</table></div>'


def _row(name: str, schema: Node, is_required: bool) -> str:
    notes = [note for note in ("required" if is_required else "", escape(schema.get("description", ""))) if note]
    return f"<tr><td><code>{escape(name)}</code></td><td>{_type(schema)}</td><td>{', '.join(notes)}</td></tr>"


def _type(schema: Node) -> str:
    if "$ref" in schema:
        name = escape(str(schema["$ref"]).rsplit("/", 1)[-1])
        return f'<a href="#schema-{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_type(option) for option in schema["anyOf"] if option.get("type") != "null")
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if "const" in schema:
        return f"<code>{escape(str(schema['const']))}</code>"
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict) and extra:
        return f"object of {_type(extra)}"
    return escape(str(schema.get("format") or schema.get("type") or "any"))


def _title(name: str) -> str:
    return name[:1].upper() + name[1:]


def _anchor(name: str) -> str:
    return name.lower().replace(" ", "-")
