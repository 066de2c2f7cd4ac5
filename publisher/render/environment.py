"""The Jinja2 environments: sandboxed, strict about what is undefined, built once a set of folders."""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined, TemplateNotFound, TemplateSyntaxError, UndefinedError
from jinja2 import Template as JinjaTemplate
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from publisher import assets
from publisher.errors import TemplateError
from publisher.render import markdown, mjml, plaintext
from publisher.render.tags import hashtags


def _escapes(name: str | None) -> bool:
    """Autoescape by what the template produces: HTML, XML and MJML are escaped, text is not."""
    return name is not None and name.endswith((".html", ".xml", mjml.ENDING))


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox, with a short way for the fields of our own frozen data: plain values, nothing to call."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether a template may read ``obj.attr``."""
        kind: type = type(obj)
        return attr in _fields(kind) or super().is_safe_attribute(obj, attr, value)


@lru_cache(maxsize=64)
def _fields(kind: type) -> frozenset[str]:
    params = getattr(kind, "__dataclass_params__", None)
    if params is None or not params.frozen or not kind.__module__.startswith("publisher."):
        return frozenset()
    return frozenset(field.name for field in fields(kind) if not field.name.startswith("_"))


@lru_cache(maxsize=8)
def _environment(folders: tuple[Path, ...]) -> ImmutableSandboxedEnvironment:
    made = _Sandbox(
        loader=FileSystemLoader(list(folders)),
        autoescape=_escapes,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
        cache_size=200,
    )
    made.filters["hashtags"] = hashtags
    made.filters["in_markdown"] = markdown.in_line
    made.filters["in_alt"] = markdown.in_alt
    made.filters["markdown_address"] = markdown.address
    made.filters["addresses_below"] = plaintext.addresses_below
    made.filters["wrapped"] = plaintext.wrapped
    return made


def environment(office: Path | None = None) -> ImmutableSandboxedEnvironment:
    """The environment over the office's templates and ours. Compiling is dear, so it is built once."""
    return _environment(tuple(assets.folders("templates", office)))


def render(name: str, office: Path | None = None, /, **context: Any) -> str:
    """Renders the template called ``name``.

    Raises :class:`TemplateError`, which names the file and the line, for anything a template can do wrong.
    """
    try:
        template: JinjaTemplate = environment(office).get_template(name)
        return template.render(**context)
    except TemplateNotFound as error:
        raise TemplateError(f"The template {error.name} does not exist; check its name.") from None
    except TemplateSyntaxError as error:
        raise TemplateError(
            f"The template {error.name}, line {error.lineno}, cannot be read: {error.message}."
        ) from None
    except UndefinedError as error:
        raise TemplateError(
            f"The template {name} uses something that is not there: {error.message}."
        ) from None
    except SecurityError as error:
        raise TemplateError(
            f"The template {name} does something that is not allowed: {str(error).rstrip('.')}."
        ) from None
    except Exception as error:
        # A template is an office's own text; whatever it trips over is named with its file.
        raise TemplateError(f"The template {name} fails: {error}.") from None
