import httpx


def test_a_session_is_shown_as_it_was_opened(rest: httpx.Client, scored: str, half_scored: str) -> None:
    closed, still_open = rest.get(f"/v1/sessions/{scored}").json(), rest.get(f"/v1/sessions/{half_scored}").json()
    assert (closed["codec"], closed["link"], closed["num_reports"]) == ("klt", "digital:bsc", 50)
    assert (closed["domain"], closed["shape"]) == ("angular-delay", [1, 32, 32])
    assert closed["model_sha256"] == rest.get("/v1/codecs/klt").json()["sha256"]
    assert closed["opened_at"] < closed["closed_at"]
    assert still_open["closed_at"] is None
    assert [row["fallback"] for row in (closed, still_open)] == ["mean", "last"]
    names = ("downlink_snr_db", "downlink_num_ue", "downlink_mcs", "num_subbands")
    assert [closed[name] for name in names] == [[-5.0, 10.0], 1, None, 4]
    assert [still_open[name] for name in names] == [[2.5], 5, 9, 0]
    assert [(row["estimator"], row["cnr_db"]) for row in (closed, still_open)] == [("perfect", None), ("ls", 12.5)]


def test_pages_of_sessions_end_and_hold_every_session_once(rest: httpx.Client, scored: str, half_scored: str) -> None:
    everything = rest.get("/v1/sessions", params={"limit": 1000}).json()
    assert everything["next_before"] is None
    pages = []
    params: dict[str, float] = {"limit": 1}
    while True:
        page = rest.get("/v1/sessions", params=params).json()
        pages += page["sessions"]
        if page["next_before"] is None:
            break
        params["before"] = page["next_before"]
    assert pages == everything["sessions"]
    assert {scored, half_scored} <= {session["session_id"] for session in pages}
    times = [session["opened_at"] for session in pages]
    assert times == sorted(times, reverse=True)
