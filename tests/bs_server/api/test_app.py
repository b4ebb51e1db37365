import re
from typing import Any

import httpx
import pytest

NOT_THERE = str(2**63 - 1)


@pytest.fixture(scope="session")
def openapi(rest: httpx.Client) -> dict[str, Any]:
    document: dict[str, Any] = rest.get("/openapi.json").json()
    return document


@pytest.fixture(scope="session")
def paths(rest: httpx.Client, scored: str) -> dict[str, str]:
    """Path of the OpenAPI document -> a URL that has an answer."""
    kept = rest.get("/v1/reports", params={"session": scored}).json()["reports"][0]
    assert kept["has_reconstruction"]
    report = f"/v1/reports/{kept['report_id']}"
    return {
        "/metrics": "/metrics",
        "/v1/codecs": "/v1/codecs",
        "/v1/codecs/{name}": "/v1/codecs/klt",
        "/v1/health/live": "/v1/health/live",
        "/v1/health/ready": "/v1/health/ready",
        "/v1/metrics/summary": "/v1/metrics/summary?group_by=codec&group_by=snr_db",
        "/v1/metrics/summary.csv": "/v1/metrics/summary.csv?group_by=codec&session=none",
        "/v1/metrics/summary/stream": "/v1/metrics/summary/stream?group_by=codec&interval_s=1",
        "/v1/refiners": "/v1/refiners",
        "/v1/refiners/{name}": "/v1/refiners/small",
        "/v1/reports": "/v1/reports?codec=klt&link=digital:bsc&ue_id=7&rate=128&snr_db=2.5",
        "/v1/reports.csv": f"/v1/reports.csv?session={scored}",
        "/v1/reports/{report_id}": report,
        "/v1/reports/{report_id}/reconstruction": f"{report}/reconstruction",
        "/v1/reports/{report_id}/reconstruction.npy": f"{report}/reconstruction.npy",
        "/v1/reports/{report_id}/reconstruction.png": f"{report}/reconstruction.png",
        "/v1/sessions": "/v1/sessions?limit=3",
        "/v1/sessions/{session_id}": f"/v1/sessions/{scored}",
    }


def media_type(answer: httpx.Response) -> str:
    return answer.headers["content-type"].split(";")[0]


def test_every_path_answers_with_what_it_documents(
    rest: httpx.Client, openapi: dict[str, Any], paths: dict[str, str]
) -> None:
    assert set(openapi["paths"]) == set(paths)
    for path, url in paths.items():
        with rest.stream("GET", url) as answer:  # whose end one of them does not have
            assert answer.status_code == 200, url
        assert list(openapi["paths"][path]["get"]["responses"]["200"]["content"]) == [media_type(answer)], path


def test_every_refusal_is_a_problem_and_documented_as_such(
    rest: httpx.Client, openapi: dict[str, Any], paths: dict[str, str]
) -> None:
    for path, url in paths.items():
        documented = openapi["paths"][path]["get"]["responses"]
        for status in ("4XX", "5XX"):
            assert list(documented[status]["content"]) == ["application/problem+json"], path
            assert documented[status]["content"]["application/problem+json"]["schema"]
        assert "422" not in documented
        answers = {405: rest.post(url)}
        assert answers[405].headers["allow"] == "GET"
        if "{" in path:
            stranger = re.sub("{report_id}", NOT_THERE, path)
            answers[404] = rest.get(re.sub("{.*}", "stranger", stranger))
        for status_code, answer in answers.items():
            body = answer.json()
            assert (answer.status_code, media_type(answer)) == (status_code, "application/problem+json"), url
            assert (body["status"], body["type"]) == (status_code, "about:blank")
            assert body["instance"] == answer.url.path
            assert set(body) == {"type", "title", "status", "detail", "instance"}


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("/v1/reports?limit=0", "`limit`: Input should be greater than or equal to 1; got '0'."),
        ("/v1/reports?limit=1001", "`limit`: "),
        ("/v1/reports?after_id=-1", "`after_id`: "),
        (f"/v1/reports?after_id={2**63}", "`after_id`: "),
        (f"/v1/reports?ue_id={2**32}", "`ue_id`: "),
        ("/v1/reports?snr_db=loud", "`snr_db`: "),
        ("/v1/reports/0", "`report_id`: "),
        (f"/v1/reports/{2**63}", "`report_id`: "),
        ("/v1/reports/first/reconstruction.png", "`report_id`: "),
        ("/v1/sessions?limit=x&before=y", "`limit`: "),
        ("/v1/metrics/summary?group_by=colour", "`group_by.0`: "),
        ("/v1/metrics/summary?sessoin=1", "`sessoin` is no parameter of /v1/metrics/summary; there are: "),
        ("/v1/metrics/summary/stream?interval_s=0.5", "`interval_s`: Input should be greater than or equal to 1; got"),
        ("/v1/metrics/summary/stream?interval_s=nan", "`interval_s`: "),
        ("/v1/metrics/summary/stream?interval=2", "`interval` is no parameter of /v1/metrics/summary/stream; "),
        ("/v1/metrics/summary.csv?interval_s=2", "`interval_s` is no parameter of /v1/metrics/summary.csv; "),
        ("/v1/reports.csv?limit=5", "`limit` is no parameter of /v1/reports.csv; there are: session, codec, link, "),
        ("/v1/health/live?verbose=1", "`verbose` is no parameter of /v1/health/live; there are: none."),
        ("/v1/reports?refinement=bogus", "`refinement` must be one of never, always, snr, gain"),
        ("/v1/reports?snr_db=5&snr_db=10", "`snr_db` must be given once; got 5, 10."),
    ],
)
def test_an_argument_out_of_range_is_named(rest: httpx.Client, url: str, sentence: str) -> None:
    answer = rest.get(url)
    assert (answer.status_code, media_type(answer)) == (422, "application/problem+json")
    assert answer.json()["detail"].startswith(sentence)


def test_a_path_that_is_not_there_is_a_problem(rest: httpx.Client) -> None:
    answer = rest.get("/v1/nothing")
    assert (answer.status_code, media_type(answer)) == (404, "application/problem+json")


@pytest.mark.parametrize(
    "url",
    [
        "/v1/sessions/%00",
        "/v1/codecs/%F0%9F%92%A9",
        "/v1/codecs/%ff%fe",
        "/v1/reports?session=%00&codec=%ed%a0%80",
        "/v1/reports?snr_db=nan",
        "/v1/reports?snr_db=-inf",
        "/v1/sessions?before=nan",
        "/v1/sessions?before=1e400",
        "/v1/metrics/summary?link=';DROP TABLE reports;--",
    ],
)
def test_a_strange_argument_is_answered_and_does_no_harm(rest: httpx.Client, url: str) -> None:
    assert rest.get(url).status_code in (200, 404)
    assert rest.get("/v1/reports?limit=1").json()["reports"]


def test_the_document_has_examples(openapi: dict[str, Any]) -> None:
    schemas = openapi["components"]["schemas"]
    problem = openapi["paths"]["/v1/reports"]["get"]["responses"]["4XX"]["content"]["application/problem+json"][
        "schema"
    ]
    for schema in (problem, *(schemas[name] for name in ("Health", "Session", "Report", "Nmse", "Group"))):
        assert any("examples" in each for each in schema["properties"].values()), schema["title"]


def test_the_root_leads_to_the_documentation(rest: httpx.Client) -> None:
    assert rest.get("/").headers["location"] == "/docs"
    assert rest.get("/docs").status_code == 200


def test_several_groupings_are_no_repetition(rest: httpx.Client) -> None:
    assert rest.get("/v1/metrics/summary?group_by=codec&group_by=rate").status_code == 200
