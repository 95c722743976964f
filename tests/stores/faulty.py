"""A BigQuery client whose requests can be counted, and fail."""

from collections.abc import Callable
from typing import Any

import requests
from emulator import Emulator
from google.cloud import bigquery

Fault = Callable[["Requests", Callable[[], Any]], Any]
"""Given the requests so far and what would send this one: an answer, or an exception."""


class Requests(list[tuple[str, str]]):
    """Method and path of each request that was made."""


def faulty_client(emulator: Emulator, fault: Fault) -> tuple[bigquery.Client, Requests]:
    """A client of the emulator; every request of its goes through `fault`."""
    client = emulator.client()
    made = Requests()
    session = client._http
    send = session.request

    def request(method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        made.append((method, url.partition("/bigquery/v2/projects/")[2].partition("?")[0]))
        return fault(made, lambda: send(method, url, *args, **kwargs))

    session.request = request
    return client, made


def passing(_: Requests, send: Callable[[], Any]) -> Any:
    """No fault."""
    return send()


def status(code: int, reason: str = "backendError", message: str = "try again") -> requests.Response:
    """An answer of Google's that says what is wrong."""
    answer = requests.Response()
    answer.status_code = code
    answer.headers["Content-Type"] = "application/json"
    body = f'{{"error": {{"code": {code}, "message": "{message}", "errors": [{{"reason": "{reason}"}}]}}}}'
    answer._content = body.encode()
    answer.request = requests.Request("GET", "http://127.0.0.1/").prepare()
    return answer
