"""The REST API held against its own OpenAPI document: requests of all kinds made from it, good ones and bad ones."""

import contextlib
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

STREAM = "/v1/metrics/summary/stream"  # which does not end
OF_REQUESTS: list[Any] = [
    positive_data_acceptance,
    negative_data_rejection,
]  # a label has a grammar of its own; "1 " is a number


def without_tuples(document: Any) -> Any:
    """Say of tuples of one type that they are lists: schemathesis (4.32) makes of them what no validator takes."""
    if isinstance(document, list):
        return [without_tuples(item) for item in document]
    if not isinstance(document, dict):
        return document
    of_item, *others = document.get("prefixItems", [{}])
    assert all(other == of_item for other in others)
    plain = {key: without_tuples(value) for key, value in document.items() if key != "prefixItems"}
    return plain | {"items": of_item} if "prefixItems" in document else plain


@pytest.mark.hypothesis
def test_every_answer_is_what_the_document_says(rest: httpx.Client) -> None:
    document = without_tuples(rest.get("/openapi.json").json())
    schema = schemathesis.openapi.from_dict(document).exclude(path=STREAM)
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) == len(document["paths"]) - 1
    for operation in operations:
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):

            @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), database=None)
            @given(case=operation.as_strategy(generation_mode=mode))
            def call(case: schemathesis.Case[Any]) -> None:
                case.call_and_validate(base_url=str(rest.base_url), excluded_checks=OF_REQUESTS)

            bad = mode is schemathesis.GenerationMode.NEGATIVE
            with contextlib.suppress(Unsatisfiable) if bad else contextlib.nullcontext():  # not every one can be wrong
                call()
