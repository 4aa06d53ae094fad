import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.domain.endpoint import check_address, check_receipt_key
from registry.errors import AddressNotAllowed, ReceiptKeyUnreadable


@pytest.mark.parametrize(
    "url",
    [
        "https://police.example.kz/notices",
        "https://police.example.kz:8443/a/b",
        "https://xn--80ak6aa92e.kz/",
        "https://10.20.30.40/notices",
        "https://[2001:4860:4860::8888]/notices",
    ],
)
def test_https_addresses_are_taken(url: str) -> None:
    assert check_address(url, loopback=False) == url


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:9000/a", "http://localhost:9000/a", "http://[::1]:9000/", "https://127.0.0.1/"],
)
def test_this_machine_is_taken_only_where_the_setting_allows_it(url: str) -> None:
    assert check_address(url, loopback=True) == url
    with pytest.raises(AddressNotAllowed):
        check_address(url, loopback=False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "police.example.kz",
        "http://police.example.kz/",
        "ftp://police.example.kz/",
        "gopher://127.0.0.1/",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://user@police.example.kz/",
        "https://user:secret@police.example.kz/",
        "https://@police.example.kz/",
        "https://police.example.kz/?token=1",
        "https://police.example.kz/?",
        "https://police.example.kz/#part",
        "https://police.example.kz\\@127.0.0.1/",
        "https://police.example.kz:0/",
        "https://police.example.kz:70000/",
        "https://police.example.kz:x/",
        "https://police example.kz/",
        "https://police.example.kz/\n",
        "https://полиция.kz/",
        "https://169.254.169.254/latest",
        "https://[fe80::1%25eth0]/",
        "https://[::ffff:169.254.169.254]/",
        "https://0.0.0.0/",
        "https://[::]/",
        "https://224.0.0.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://127.1/",
        "https://police.example.kz./",
        "https://-police.kz/",
        "https://[::1/",
        "https://a/" + "x" * 600,
    ],
)
@pytest.mark.parametrize("loopback", [True, False])
def test_everything_else_is_refused(url: str, loopback: bool) -> None:
    with pytest.raises(AddressNotAllowed):
        check_address(url, loopback=loopback)


@given(st.text(max_size=60) | st.text(max_size=40).map(lambda rest: "https://" + rest), st.booleans())
def test_any_text_is_taken_or_refused_and_never_breaks(url: str, loopback: bool) -> None:
    try:
        assert check_address(url, loopback=loopback) == url
    except AddressNotAllowed as error:
        refused = error
    else:
        return
    assert refused.detail is None


def test_a_receipt_key_is_32_bytes() -> None:
    key = base64.urlsafe_b64encode(bytes(range(32))).decode()
    assert check_receipt_key(key) == key.rstrip("=")


@pytest.mark.parametrize("key", ["", "short", "A" * 44, "A" * 43 + "==", "ä" * 43, "+" * 43, "A" * 43 + "\n"])
def test_other_receipt_keys_are_refused(key: str) -> None:
    with pytest.raises(ReceiptKeyUnreadable):
        check_receipt_key(key)
