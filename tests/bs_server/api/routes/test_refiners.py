from collections.abc import Callable

import httpx

from shared.model_files import load_model
from shared.refinement import RefinerFile


def test_the_cards_are_those_of_the_refiners(rest: httpx.Client, untrained_refiner: Callable[..., RefinerFile]) -> None:
    wanted = untrained_refiner(load_model("klt").card).card.model_dump(mode="json")
    card = rest.get("/v1/refiners/small").json()
    assert {**card, "sha256": wanted["sha256"], "num_parameters": 0} == wanted
    assert card in rest.get("/v1/refiners").json()


def test_a_refiner_that_is_not_held_is_told_with_those_that_are(rest: httpx.Client) -> None:
    held = ", ".join(card["name"] for card in rest.get("/v1/refiners").json())
    assert f"must be one of {held}; got 'yours'" in rest.get("/v1/refiners/yours").json()["detail"]
