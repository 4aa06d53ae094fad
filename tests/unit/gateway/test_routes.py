import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.routes import OWN, ROUTES, Bucket, Missing, Route, allowed_methods, find_route

ID = "6ee18e1e-c8ab-437a-af08-dace185da870"


@pytest.mark.parametrize(
    ("method", "path", "upstream"),
    [
        ("POST", "/v1/alerts", "intake"),
        ("GET", "/v1/alerts", "notifier"),
        ("GET", f"/v1/alerts/{ID}", "notifier"),
        ("GET", f"/v1/alerts/{ID}/matches", "intake"),
        ("POST", f"/v1/alerts/{ID}/joining", "notifier"),
        ("GET", f"/v1/deliveries/{ID}/content", "intake"),
        ("POST", f"/v1/deliveries/{ID}/receipt", "notifier"),
        ("DELETE", f"/v1/endpoints/{ID}", "registry"),
        ("POST", f"/v1/endpoints/{ID}/signing-key", "notifier"),
        ("GET", "/v1/agencies/internal-affairs-kz-75", "registry"),
        ("POST", f"/v1/cases/{ID}/case-manager", "casework"),
    ],
)
def test_each_public_call_has_one_service(method: str, path: str, upstream: str) -> None:
    route = find_route(method, path)
    assert isinstance(route, Route)
    assert route.upstream == upstream


def test_only_an_alert_is_asked_of_a_second_service() -> None:
    assert [(r.template, r.upstream, r.fallback) for r in ROUTES if r.fallback] == [
        ("/v1/alerts/{id}", "notifier", "intake")
    ]


def test_alerts_do_not_share_a_limit_with_anything_else() -> None:
    assert [route.template for route in ROUTES if route.bucket is Bucket.ALERTS] == ["/v1/alerts"]
    assert not [route for route in ROUTES if route.bucket is Bucket.THREATS]


@given(st.text(max_size=60))
def test_no_text_leads_inside_by_accident(text: str) -> None:
    path = f"/v1/alerts/{text}"
    route = find_route("GET", path)
    if isinstance(route, Route):
        assert not set(text) & set("%?#;.\\\r\n\x00 ")
        assert text.count("/") <= 1


@given(st.sampled_from(["GET", "POST", "DELETE"]), st.text(max_size=60))
def test_nothing_internal_has_a_route(method: str, text: str) -> None:
    assert find_route(method, f"/internal/{text}") is Missing.PATH


def test_another_method_is_told_from_another_path() -> None:
    assert find_route("DELETE", "/v1/alerts") is Missing.METHOD
    assert find_route("HEAD", "/v1/inbox") is Missing.METHOD
    assert find_route("GET", "/v1/nothing") is Missing.PATH
    assert allowed_methods("/v1/alerts") == ("GET", "POST")
    for method, template in OWN:
        assert method in allowed_methods(template.replace("{id}", ID))
