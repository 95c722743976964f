"""Takes secrets out of what dbt records of its environment and its command line, before anything is stored."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

REDACTED = "[redacted]"
_ALWAYS = "dbt_env_secret_"


@dataclass(frozen=True)
class Redaction:
    """Which names mark a secret: those that contain one of `patterns`, unless allowed; `DBT_ENV_SECRET_*` always."""

    patterns: Sequence[str]
    allow: Sequence[str] = ()

    @cached_property
    def _allowed(self) -> frozenset[str]:
        return frozenset(name.lower() for name in self.allow)

    @cached_property
    def _assignment(self) -> re.Pattern[str]:
        """`name: value`, `name=value` and `--name value` in free text, quoted or not."""
        names = "|".join(re.escape(pattern) for pattern in (*self.patterns, _ALWAYS))
        return re.compile(
            rf"""(?P<name>[\w.-]*(?:{names})[\w.-]*)(?P<sign>["']?\s*[:=]\s*|\s+(?=[^\s-]))"""
            r"""(?P<value>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s,}\]]+)""",
            re.IGNORECASE,
        )

    def is_secret(self, name: str) -> bool:
        """Whether a value of this name is a secret."""
        lowered = name.lower()
        if _ALWAYS in lowered:
            return True
        return lowered not in self._allowed and any(pattern.lower() in lowered for pattern in self.patterns)

    def value(self, value: object, name: str = "") -> object:
        """A JSON value with the secrets inside it redacted, at any depth; text that holds assignments too."""
        if name and self.is_secret(name) and not isinstance(value, bool) and value is not None:
            return REDACTED
        if isinstance(value, Mapping):
            return {str(key): self.value(inner, str(key)) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(inner) for inner in value]
        return self.text(value) if isinstance(value, str) else value

    def text(self, text: str) -> str:
        """Free text, such as a command line, with the value of each secret name redacted."""

        def replace(match: re.Match[str]) -> str:
            name, sign, value = match["name"], match["sign"], match["value"]
            # `run --select stg_keys other`: only an option takes its value after a space
            if not self.is_secret(name) or (sign.isspace() and not name.startswith("-")):
                return match[0]
            quote = value[0] if value[0] in "\"'" else ""
            return f"{name}{sign}{quote}{REDACTED}{quote}"

        return self._assignment.sub(replace, text)
