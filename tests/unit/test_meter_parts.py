"""The parts of the meter that need no network: prices, headers, addresses, budgets, what is written on a tape."""

from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from chargehand.adapters.meter import Auth, MeterSpec, Price, PriceTable, Upstream
from chargehand.adapters.meter.account import Account, Exchange, Tally
from chargehand.adapters.meter.cassette import _written, comparable
from chargehand.adapters.meter.headers import address, is_plain, onward, returned, tokens_in
from chargehand.adapters.meter.watching import Watch, decoder, message_in
from chargehand.dialects import Dialect, TokenUse
from chargehand.domain.errors import UserError

MILLION = 1_000_000


# -- prices ---------------------------------------------------------------------------------------


def test_the_table_of_the_package() -> None:
    table = PriceTable.packaged()
    assert len(table.models) >= 12
    assert date.fromisoformat(table.date) <= date.today()  # noqa: DTZ011 - a day more or less is no matter
    for word in ("Anthropic", "OpenAI", "Google"):
        assert word in table.source
    for name, price in table.models.items():
        for one in filter(None, (price, price.above[1] if price.above else None, price.then)):
            assert 0 < one.input < one.output, name
            assert one.cached is not None
            assert one.cached < one.input, name
            assert one.written is None or one.input < one.written, name


@pytest.mark.parametrize(
    ("model", "known"),
    [
        ("claude-opus-4-5", "claude-opus-4-5"),
        ("claude-opus-4-5-20251101", "claude-opus-4-5"),
        ("claude-opus-4-5@20251101", "claude-opus-4-5"),
        ("anthropic/claude-opus-4-5", "claude-opus-4-5"),
        ("us.anthropic.claude-opus-4-5-20251101-v1:0", "claude-opus-4-5"),
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("gpt-5.5-2026-04-23", "gpt-5.5"),
        ("gpt-5.5-pro", None),
        ("gpt-5.55", None),
        ("claude-opus-4", None),
        ("", None),
        ("somebody/else", None),
    ],
)
def test_names_of_models(model: str, known: str | None) -> None:
    """What is not known is not guessed from what it looks like."""
    table = PriceTable.packaged()
    assert table.price(model) == (table.models[known] if known else None)


def test_what_an_answer_costs() -> None:
    price = Price(input=3, output=15, cached=0.3, written=3.75, written_1h=6)
    day = date(2026, 11, 20)
    use = TokenUse(input=10 * MILLION, output=MILLION, cached=4 * MILLION, written=3 * MILLION, written_1h=MILLION)
    assert price.usd(use, day) == pytest.approx(3 * 3 + 15 + 4 * 0.3 + 2 * 3.75 + 6)
    assert price.usd(TokenUse(), day) == 0


def test_a_price_that_is_missing_is_not_invented() -> None:
    price, day = Price(input=3, output=15), date(2026, 11, 20)
    assert price.usd(TokenUse(input=MILLION, output=MILLION), day) == 18
    assert price.usd(TokenUse(input=MILLION, cached=1), day) is None
    assert price.usd(TokenUse(input=MILLION, written=1), day) is None


def test_long_prompts_and_prices_with_an_end() -> None:
    long = Price(input=4, output=18)
    later = Price(input=1, output=2)
    price = Price(input=2, output=12, above=(200_000, long), until=date(2026, 12, 31), then=later)
    small, large = TokenUse(input=200_000, output=MILLION), TokenUse(input=200_001, output=MILLION)
    assert price.usd(small, date(2026, 12, 31)) == pytest.approx(12.4)
    assert price.usd(large, date(2026, 12, 31)) == pytest.approx(18.800004)
    assert price.usd(small, date(2027, 1, 1)) == pytest.approx(2.2)
    assert Price(input=1, output=1, until=date(2026, 1, 1)).usd(small, date(2026, 1, 2)) is None


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "prices.json"
    above = {"tokens": 5, "input": 9, "output": 9}
    document = {"date": "2026-12-01", "source": "ours", "models": {"local": {"input": 0, "output": 0, "above": above}}}
    document["models"]["gpt-5.5"] = {"input": 1, "output": 2, "until": "2027-01-01", "then": {"input": 3, "output": 4}}  # type: ignore[index]
    file.write_text(json.dumps(document))
    table = PriceTable.read(file)
    assert table.date == "2026-12-01"
    assert table.source.startswith(f"{file}; else ")
    assert table.usd("local", TokenUse(input=5, output=9), 0) == 0
    assert table.models["gpt-5.5"].then == Price(input=3, output=4)
    assert table.models["claude-opus-4-5"] == PriceTable.packaged().models["claude-opus-4-5"]
    assert PriceTable.read(None) == PriceTable.packaged()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be used"),
        ("[]", "cannot be used"),
        ("{}", "`models` is missing"),
        ('{"models": {"m": {"input": 1}}}', "lacks `output`"),
        ('{"models": {"m": {"output": 1}}}', "lacks `input`"),
        ('{"models": {"m": {"input": "1", "output": 1}}}', "`input` must be dollars"),
        ('{"models": {"m": {"input": -1, "output": 1}}}', "`input` must be dollars"),
        ('{"models": {"m": {"input": 1, "output": true}}}', "`output` must be dollars"),
        ('{"models": {"m": {"input": 1, "output": 1, "cache": 1}}}', "unknown key `cache`"),
        ('{"models": {"m": {"input": 1, "output": 1, "until": "soon"}}}', "Invalid isoformat"),
        ('{"models": {"m": {"input": 1, "output": 1, "above": {"input": 1, "output": 1}}}}', "`tokens` is missing"),
    ],
)
def test_a_wrong_table_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "prices.json"
    file.write_text(text)
    with pytest.raises(UserError, match=said) as found:
        PriceTable.read(file)
    assert found.value.file == str(file)
    with pytest.raises(UserError):
        PriceTable.read(tmp_path / "none.json")


def test_a_table_is_a_regular_file_of_a_bounded_size(tmp_path: Path) -> None:
    """I10: nothing is waited for that may never come, and no memory is filled."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(UserError, match=r"no regular file|Is a directory"):
            PriceTable.read(path)
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(5_000_000)
    with pytest.raises(UserError, match="more than 4,194,304 bytes"):
        PriceTable.read(tmp_path / "huge")


# -- the ledger -----------------------------------------------------------------------------------


def _account(**limits: Any) -> Account:
    prices = PriceTable(models={"dear": Price(input=1, output=10), "cheap": Price(input=0.1, output=1)})
    spec = MeterSpec(key="k", upstream="u", **limits)
    return Account(spec=spec, prices=prices, clock=lambda: 5.0, now=lambda: 0.0)


def told(model: str, use: TokenUse) -> Tally:
    return Tally(model=model, use=use, told=use, is_final=True)


def test_the_model_that_did_most_of_the_work_is_named() -> None:
    account = _account()
    account.asked("cheap")
    account.used(told("cheap", TokenUse(input=900, output=10)))
    account.used(told("dear", TokenUse(input=100, output=200)))
    account.used(told("cheap", TokenUse(input=900, output=10)))
    record = account.record()
    assert (record.model_asked, record.model_used) == ("cheap", "dear")
    assert record.models["cheap"] == TokenUse(input=1800, output=20)
    assert record.usd == pytest.approx((100 + 2000 + 180 + 20) / MILLION)


def test_a_model_without_a_price_makes_money_unknown_and_tokens_not() -> None:
    """I10: against its budget it counts as the dearest model that is known; all its tokens count."""
    account = _account(usd=0.0045, tokens=10_000)
    account.used(told("unheard-of", TokenUse(input=4000, output=10)))
    assert account.record().usd is None
    assert account.record().unpriced == ("unheard-of",)
    assert account.record().held_usd == pytest.approx(0.0041)
    assert account.over_budget() == ""
    account.used(told("dear", TokenUse(input=0, output=100)))
    words = "0.0051 of 0.0045 US dollars are used, where a model without a price counts as the dearest"
    assert account.over_budget() == words
    account.used(told("unheard-of", TokenUse(input=5990, output=0)))
    assert account.over_budget() == "10,100 of 10,000 tokens are used"


def test_the_dearest_price_is_that_of_no_model() -> None:
    """I10: of every rate the highest, long prompts and later days included; of an empty table a hundred dollars."""
    later = Price(input=4, output=9, written=7)
    table = {
        "a": Price(input=1, output=10, cached=0.5, above=(100, Price(input=2, output=20))),
        "b": Price(input=3, output=5, until=date(2026, 1, 1), then=later),
    }
    found = PriceTable(models=table).dearest()
    assert (found.input, found.output, found.cached, found.written, found.written_1h) == (4, 20, 0.5, 7, 100)
    assert PriceTable().dearest().input == 100
    packaged = PriceTable.packaged()
    most = packaged.dearest().parts(TokenUse(input=1000, output=1000, cached=300, written=300))
    for model in packaged.models:
        cost = packaged.usd(model, TokenUse(input=1000, output=1000, cached=300), 1_790_000_000.0)
        assert cost is None or (most is not None and cost <= most)


def test_what_is_guessed_counts_and_is_marked() -> None:
    """I10: an answer that was not told to its end."""
    account = _account(tokens=500)
    so_far, told_of_it = TokenUse(input=300, output=200), TokenUse(input=300, output=1)
    account.used(Tally(model="dear", use=so_far, told=told_of_it))
    record = account.record()
    assert (record.tokens, record.estimated_input, record.estimated_output, record.unread) == (500, 0, 199, 1)
    assert record.usd == pytest.approx((300 + 2000) / MILLION)
    assert record.over_budget == "500 of 500 tokens are used"


def test_what_is_under_way_is_reserved() -> None:
    """I10: as long as it may use up the budget, nothing else goes out; what was told for good is taken for that."""
    account = _account(tokens=1000)
    tally: list[Tally | None] = [None]
    exchange = Exchange(settle=lambda: None, so_far=lambda: tally[0], reserved=TokenUse(input=100, output=900))
    account.running.add(exchange)
    assert not account.is_held_up()
    tally[0] = Tally(model="dear", use=TokenUse(input=100))
    assert account.is_held_up()
    assert account.over_budget() == ""
    tally[0] = told("dear", TokenUse(input=100, output=20))
    assert not account.is_held_up()
    money = _account(usd=0.005)
    money.running.add(exchange)
    assert not money.is_held_up()
    tally[0] = Tally(model="dear", use=TokenUse(input=100))
    assert money.is_held_up(), "900 tokens of output may be made"
    tally[0] = Tally(model="unheard-of", use=TokenUse(input=100))
    assert money.is_held_up()


def test_a_ledger_does_not_grow_without_end() -> None:
    account = _account()
    for number in range(500):
        account.used(told(f"model-{number}", TokenUse(output=1)))
        account.failed(500, None, str(number))
    record = account.record()
    assert len(record.models) <= 51
    assert len(record.unpriced) <= 50
    assert (len(record.problems), record.failures, record.problems[-1].text) == (50, 500, "499")
    assert record.output_tokens == 500


# -- headers and addresses ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "path", "query", "expected"),
    [
        ("https://api.example.com", "/v1/messages", "", "https://api.example.com/v1/messages"),
        ("https://api.example.com/v1/", "/v1/responses", "", "https://api.example.com/v1/responses"),
        ("https://x.example/api/v1", "/v1/models", "a=1", "https://x.example/api/v1/models?a=1"),
        (
            "https://g.example/v1beta",
            "/v1beta/models/m:generateContent",
            "",
            "https://g.example/v1beta/models/m:generateContent",
        ),
        ("https://g.example", "/v1beta/m", "alt=sse&key=chm-token", "https://g.example/v1beta/m?alt=sse"),
        ("https://x.example/v1", "/chat/completions", "", "https://x.example/v1/chat/completions"),
        ("https://x.example", "/v1/a%2Fb", "x=%20y", "https://x.example/v1/a%2Fb?x=%20y"),
    ],
)
def test_addresses(base: str, path: str, query: str, expected: str) -> None:
    assert address(Upstream(base_url=base), path, query) == expected


@pytest.mark.parametrize(
    ("auth", "dialect", "given", "name", "value"),
    [
        (Auth.USUAL, Dialect.ANTHROPIC, "authorization", "x-api-key", "k-e-y"),
        (Auth.USUAL, Dialect.RESPONSES, "authorization", "Authorization", "Bearer k-e-y"),
        (Auth.USUAL, Dialect.CHAT, "x-api-key", "Authorization", "Bearer k-e-y"),
        (Auth.USUAL, Dialect.GEMINI, "x-goog-api-key", "x-goog-api-key", "k-e-y"),
        (Auth.USUAL, None, "x-api-key", "x-api-key", "k-e-y"),
        (Auth.USUAL, None, "x-goog-api-key", "x-goog-api-key", "k-e-y"),
        (Auth.USUAL, None, "authorization", "Authorization", "Bearer k-e-y"),
        (Auth.BEARER, Dialect.ANTHROPIC, "x-api-key", "Authorization", "Bearer k-e-y"),
        (Auth.X_API_KEY, Dialect.CHAT, "authorization", "x-api-key", "k-e-y"),
        (Auth.GOOGLE, Dialect.CHAT, "authorization", "x-goog-api-key", "k-e-y"),
    ],
)
def test_where_the_key_goes(auth: Auth, dialect: Dialect | None, given: str, name: str, value: str) -> None:
    upstream = Upstream(base_url="x", key="k-e-y", auth=auth)
    sent = onward([(given, "chm-token"), ("Cookie", "c"), ("api-key", "chm-token"), ("X-Kept", "1")], upstream, dialect)
    assert sent == [("X-Kept", "1"), ("Accept-Encoding", "identity"), (name, value)]


def test_without_a_key_none_is_sent() -> None:
    sent = onward([("Authorization", "Bearer chm-token")], Upstream(base_url="x"), Dialect.CHAT)
    assert sent == [("Accept-Encoding", "identity")]


def test_what_comes_back() -> None:
    given = [
        ("Connection", "keep-alive, X-Hop"),
        ("X-Hop", "1"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "7"),
        ("Set-Cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("request-id", "req_1"),
    ]
    kept = [("Content-Length", "7"), ("Set-Cookie", "a=1"), ("set-cookie", "b=2"), ("request-id", "req_1")]
    assert returned(given, is_altered=False) == kept
    assert returned(given, is_altered=True) == kept[1:]


def test_tokens_are_found_where_clients_put_them() -> None:
    assert tokens_in({"Authorization": "Bearer abc"}, {}) == ["abc"]
    assert tokens_in({"Authorization": "bearer abc "}, {}) == ["abc"]
    assert tokens_in({"Authorization": "Basic abc"}, {}) == []
    assert tokens_in({"x-api-key": "a", "x-goog-api-key": "b"}, {"key": "c"}) == ["a", "b", "c"]


# -- reading on the side --------------------------------------------------------------------------


def test_a_small_answer_does_not_unpack_to_a_large_one() -> None:
    import zlib

    bomb = zlib.compress(b"\0" * (64 * MILLION))
    unpack = decoder("deflate")
    assert unpack is not None
    assert len(unpack(bomb)) <= 16 * 1024 * 1024
    assert decoder("zstd") is None
    for encoding in ("gzip", "deflate", "zstd"):
        watch = Watch(Dialect.CHAT, 200, {"Content-Encoding": encoding})
        watch.feed(b"not packed at all")
        watch.finish()
        assert watch.usage is None


def test_an_error_is_kept_only_so_far() -> None:
    watch = Watch(Dialect.CHAT, 500, {})
    for _ in range(100):
        watch.feed(b"x" * 10_000)
    assert len(watch.error_body) == 65536


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}', "Overloaded"),
        (b'{"error": {"message": "No.", "code": "c"}}', "No."),
        (b'[{"error": {"code": 429, "message": "Slow.", "status": "RESOURCE_EXHAUSTED"}}]', "Slow."),
        (b'{"error": {"status": "UNAVAILABLE"}}', "UNAVAILABLE"),
        (b'{"error": "plain"}', "plain"),
        (b'{"message": "Not found"}', "Not found"),
        (b'"text"', "text"),
        (b"<html>bad gateway</html>", "<html>bad gateway</html>"),
        (b"", ""),
        (b"x" * 5000, "x" * 5000),
    ],
)
def test_the_message_of_an_error(body: bytes, message: str) -> None:
    assert message_in(body) == message


# -- tapes ----------------------------------------------------------------------------------------


def test_what_differs_each_time_is_no_difference() -> None:
    def body(uuid: str, day: str, folder: str, digest: str) -> dict[str, Any]:
        times = f"{day}T10:11:12.5+01:00 or Friday, November {day[-2:]}, 2026 or 11/{day[-2:]}/2026 10:11:12"
        slug = folder.replace("/", "-")
        text = f"id {uuid}, now {times}, {folder}/a, of/{slug}/x, {digest}, chunk {digest[:6]} in 0.{day[-2:]}1 s"
        return {
            "messages": [{"content": text, "n": 1, "ok": True, "x": None}],
            "metadata": {"user_id": uuid},
            "user": day,
        }

    one = body("01234567-89ab-cdef-0123-456789abcdef", "2026-11-20", "/home/one", "0123456789abcdef")
    two = body("ffffffff-89ab-cdef-0123-456789abcdef", "2027-01-02", "/home/two", "fedcba98765432100")
    assert comparable(one, [("/home/one", "<tree>"), ("", "x"), ("/home", "<home>")]) == comparable(
        two, [("/home", "<home>"), ("/home/two", "<tree>")]
    )
    other = {**one, "messages": [{"content": "something else"}]}
    assert comparable(one) != comparable(other)


def test_secrets_on_a_tape_in_every_form() -> None:
    secret = 'pass"word-1'
    inner = json.dumps({"text": secret})
    pieces = [(0.1, b"a " + secret.encode()), (0.2, inner.encode())]
    assert _written(pieces, [secret]) == [[0.1, "a [redacted]"], [0.2, '{"text": "[redacted]"}']]
    split = [(0.1, b'a pass"w'), (0.2, b"ord-1 b")]
    ((after_s, text),) = _written(split, [secret])
    assert (after_s, text) == (pytest.approx(0.3), "a [redacted] b")
    whole = "ü".encode()
    assert _written([(0.0, whole[:1]), (0.0, whole[1:])], [secret]) == [[0.0, ""], [0.0, "ü"]]
    assert _written([(0.0, b"\xff")], [secret]) == [[0.0, {"base64": "/w=="}]]


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/messages", "/v1/chat/completions", "/x/v1/responses", "/v1/models", "/v1/models/org%2Fname"),
        *("/v1beta/models/gemini-2.5-pro:streamGenerateContent", "/v1/messages/count_tokens", "/v1/models/"),
    ],
)
def test_paths_of_providers_are_plain(path):
    assert is_plain(path)


@pytest.mark.parametrize(
    "path",
    [
        *("munity://x/v1/models", "v1/messages", "//evil.example/models", "/v1/files#/v1/messages", "", "/"),
        *("/v1/files/v1/messages", "/v1/batches%23/v1/messages", "/v1/files%3f/v1/messages", "/v1\\..\\files/models"),
        *("/%252e%252e/models", "/v1/files;/models", "/v1/../files/models", "/v1/./messages", "/v1/%2e%2e/models"),
        *("/v1//messages", "/v1/messages\n", "/v1/ messages", "/v1/organization/api_keys", "/V1/FILES/v1/messages"),
    ],
)
def test_a_path_that_two_may_read_differently_is_not_passed(path):
    """The filter and the provider must see the same: else the real key opens what nobody meters."""
    assert not is_plain(path)
