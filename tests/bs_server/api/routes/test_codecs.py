import httpx

from shared.model_files import load_model, zoo_names


def test_the_cards_are_those_of_the_models(rest: httpx.Client) -> None:
    cards = {name: load_model(name).card.model_dump(mode="json") for name in zoo_names()}
    assert {card["name"]: card for card in rest.get("/v1/codecs").json()} == cards
    assert rest.get("/v1/codecs/klt").json() == cards["klt"]


def test_a_codec_that_is_not_held_is_told_with_those_that_are(rest: httpx.Client) -> None:
    held = ", ".join(zoo_names())
    assert f"must be one of {held}; got 'transnet'" in rest.get("/v1/codecs/transnet").json()["detail"]
