"""Names under which a browser may ask; others are of a site that has rebound its own."""

import pytest

from mktn.serve.hosts import accepted, address, is_loopback, same_origin


@pytest.mark.parametrize(
    "header", ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080", "[::1]", "LOCALHOST:9"]
)
def test_names_of_this_machine_are_accepted(header: str) -> None:
    assert accepted(header, "127.0.0.1")


@pytest.mark.parametrize(
    "header",
    [
        *("", "evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.nip.io"),
        *("192.168.1.2:8080", "0.0.0.0:8080", "localhost@evil.example", "evil.example@localhost"),
        *("localhost/", "localhost:x", "localhost:99999", "[::1", "127.0.0.1#", "127.0.0.1:80?x"),
    ],
)
def test_other_names_are_not(header: str) -> None:
    assert not accepted(header, "127.0.0.1")


def test_a_server_for_others_takes_its_name_and_addresses_but_no_other_name() -> None:
    assert accepted("box.lan:8080", "box.lan")
    assert accepted("192.168.1.2:8080", "0.0.0.0")
    assert accepted("[fe80::1]:8080", "::")
    assert accepted("localhost:8080", "0.0.0.0")
    assert not accepted("evil.example", "0.0.0.0")


def test_an_origin_is_that_of_the_page() -> None:
    assert same_origin("http://127.0.0.1:8080", "127.0.0.1:8080")
    for other in ("http://127.0.0.1:8081", "https://127.0.0.1:8080", "null", "http://evil"):
        assert not same_origin(other, "127.0.0.1:8080")


def test_addresses_are_written_as_a_browser_reads_them() -> None:
    assert address("127.0.0.1", 80) == "http://127.0.0.1:80/"
    assert address("::1", 8080) == "http://[::1]:8080/"
    assert is_loopback("127.9.9.9")
    assert is_loopback("::1")
    assert is_loopback("localhost")
    assert not is_loopback("0.0.0.0")
    assert not is_loopback("box.lan")
