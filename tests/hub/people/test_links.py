"""Links: what rules may do alone, what needs a person, what others see of it, and the way back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from register import Register, customer
from sqlalchemy import text

from connectors.registry import Connectors
from hub.deletes import Origin, delete_told
from hub.engine import Hub
from hub.explain import explain
from hub.people.decisions import CannotDecide, NoSuchPair, forget
from hub.people.persons import Survivors
from hub.people.view import merged_view, queue, queue_size, show
from hub.systems import load_systems

PHONE = "09012345678"
YES, NO = ({"channel": "mail", "granted": granted} for granted in (True, False))


def same(key: str, **more: Any) -> dict[str, Any]:
    return customer(key, **{"phone": PHONE, **more})


def waiting(register: Register) -> list[tuple[str, str]]:
    with register.engine.connect() as connection:
        found = queue(connection, register.rules)
        assert queue_size(connection) == len(found)
    return [(pair.one.key, pair.other.key) for pair in found]


# ---------------------------------------------------------------- what rules may do alone


def test_two_single_customers_are_linked_and_the_feed_tells_of_it(register: Register) -> None:
    register.say(same("core/1"), same("shop/5"), same("mall/9", phone="0399998888"))
    found = register.match()
    assert (found.linked, found.opened, found.changed) == (1, 0, 1)
    assert register.content("shop/5")["merged_into"] == "core/1"
    assert "merged_into" not in register.content("core/1")
    fed = register.rows(
        "SELECT e.key, f.version, f.system FROM change_feed f JOIN entity e ON e.id = f.entity_id ORDER BY f.seq"
    )
    assert tuple(fed[-1]) == ("shop/5", 2, "hub")
    assert [tuple(row) for row in register.rows("SELECT action, decided_by, rules FROM people_decision")] == [
        ("linked", "rules", ["name_kana_phone", "name_phone", "kana_phone"])
    ]


def test_a_third_one_waits_for_a_person(register: Register) -> None:
    register.say(same("core/1"), same("shop/5"))
    register.match()
    register.say(same("mall/9"))
    assert register.match().linked == 0
    assert register.person("mall/9") == "mall/9"
    assert waiting(register) == [("core/1", "mall/9"), ("shop/5", "mall/9")]
    register.accept(register.pair("shop/5", "mall/9").id)
    assert register.person("mall/9") == "core/1"
    assert waiting(register) == []


def test_three_at_once_all_wait_for_a_person(register: Register) -> None:
    register.say(same("core/1"), same("shop/5"), same("mall/9"))
    assert register.match().linked == 0
    assert len(waiting(register)) == 3


def test_one_who_meets_two_by_different_rules_waits(register: Register) -> None:
    register.say(
        same("core/1", email="t@example.jp"), same("shop/5"), customer("mall/9", email="t@example.jp")
    )
    assert register.match().linked == 0
    assert {pair.verdict for pair in register.pairs()} == {"same"}


@pytest.mark.parametrize(
    ("more", "against"),
    [({"birth": "1980-01-01"}, "birth_date"), ({"blocked": True}, "blocked"), ({"tags": ["deceased"]}, "deceased"),
     ({"sex": "male"}, "sex"), ({"company": "つなぎ"}, "company")],
)  # fmt: skip
def test_a_contradiction_leaves_it_to_a_person(
    register: Register, more: dict[str, Any], against: str
) -> None:
    register.say(same("core/1", birth="1950-01-01", sex="female"), same("shop/5", **more))
    assert register.match().linked == 0
    pair = register.pair("core/1", "shop/5")
    assert (pair.verdict, pair.state, pair.against) == ("likely", "open", (against,))


def test_two_numbers_of_one_system_are_never_linked_by_rules(register: Register) -> None:
    register.say(same("core/1"), same("core/2"))
    assert register.match().linked == 0
    assert register.pair("core/1", "core/2").against == ("same_system",)


def test_households_are_recorded_and_merge_nothing(register: Register) -> None:
    home = ("1000001", "千代田1-2-3")
    register.say(
        same("core/1", address=home), same("shop/5", name="山田 花子", kana="ヤマダ ハナコ", address=home)
    )
    found = register.match()
    assert (found.noted, found.linked, found.changed) == (1, 0, 0)
    assert waiting(register) == []
    assert register.person("shop/5") == "shop/5"


def test_a_value_of_too_many_customers_pairs_nobody_and_is_counted(register: Register) -> None:
    register.say(*(same(f"s{n}/1") for n in range(21)))
    found = register.match()
    assert register.pairs() == []
    assert found.crowded == dict.fromkeys(("given_phone", "kana_phone", "name_kana_phone", "name_phone"), 21)


def test_a_pair_that_agrees_no_more_leaves_the_queue(register: Register) -> None:
    register.say(same("core/1"), same("core/2"))
    register.match()
    register.say(same("core/2", phone="0399998888"))
    assert register.match().withdrawn == 1
    assert register.pairs() == []


def test_a_link_stays_when_somebody_moves_and_is_doubted_when_a_birth_date_speaks_against_it(
    register: Register,
) -> None:
    register.say(same("core/1", birth="1980-01-01"), same("shop/5"))
    register.match()
    register.say(same("shop/5", birth="1990-01-01"))
    assert register.match().doubted == 1
    assert register.person("shop/5") == "core/1"
    assert waiting(register) == [("core/1", "shop/5")]
    register.accept(register.pair("core/1", "shop/5").id, reason="届出の誤り")
    assert waiting(register) == []
    register.say(same("shop/5", birth="1990-01-01", phone="0399998888"))
    assert register.match().doubted == 0
    assert register.person("shop/5") == "core/1"


def test_new_rules_compare_everybody_again(register: Register) -> None:
    register.say(same("core/1"), same("core/2"), same("shop/5", phone="0399998888", birth="1980-01-01"))
    register.match()
    data = register.rules.file.model_dump()
    data["rules"] = {"kana_only": {**data["rules"]["kana_phone"], "agree": ("kana",)}}
    file = type(register.rules.file).model_validate(data)
    register.rules = type(register.rules)(file, register.rules.variants, "other")
    found = register.match()
    assert found.folded == found.compared == 3
    assert {pair.rules for pair in register.pairs()} == {("kana_only",)}
    assert len(register.pairs()) == 3
    assert register.match().folded == 0


# ---------------------------------------------------------------- persons, survivors, consents


def test_a_no_counts_for_the_whole_person_and_comes_off_with_the_link(register: Register) -> None:
    register.say(same("core/1", consents=[YES]), same("shop/5", consents=[NO]))
    before = register.state()
    register.match()
    assert register.content("core/1")["consents"] == [NO]
    pair = register.pair("core/1", "shop/5")
    register.undo(pair.id)
    assert register.state() == before
    assert register.match().linked == 0
    assert register.pair("core/1", "shop/5").state == "rejected"
    assert waiting(register) == []


def test_what_a_system_says_later_neither_breaks_the_link_nor_brings_a_yes_back(register: Register) -> None:
    register.say(same("core/1", consents=[YES]), same("shop/5", consents=[NO]))
    register.match()
    register.say(same("shop/5", note="new", consents=[NO]), same("core/1", note="new", consents=[YES]))
    assert register.content("shop/5")["merged_into"] == "core/1"
    assert register.content("core/1")["consents"] == [NO]
    register.say(same("shop/5", note="new", consents=[YES]))
    register.match()
    assert register.content("core/1")["consents"] == [YES]
    register.undo(register.pair("core/1", "shop/5").id)
    assert register.content("shop/5") == {**same("shop/5"), "note": "new", "consents": [YES]}


def test_an_unchanged_record_of_a_linked_customer_writes_nothing(register: Register) -> None:
    register.say(same("core/1"), same("shop/5"))
    register.match()
    version = register.rows("SELECT sum(version) FROM entity")[0][0]
    register.say(same("core/1"), same("shop/5"))
    assert register.rows("SELECT sum(version) FROM entity")[0][0] == version


def test_a_customer_two_systems_speak_of_keeps_its_link(register: Register) -> None:
    register.say(same("core/1"), same("shop/5"))
    register.match()
    register.say(same("shop/5", rank="gold"), system="crm")
    assert register.content("shop/5")["merged_into"] == "core/1"
    with register.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO cross_reference SELECT 'shop', 'customer', '5', id FROM entity WHERE key = 'shop/5'"
            )
        )
    with register.engine.begin() as connection:
        delete_told(connection, Origin("shop", "customers", "customers.in", "customer"), ["5"], {})
    assert register.content("shop/5")["merged_into"] == "core/1"
    assert register.content("shop/5")["rank"] == "gold"


def test_who_survives(register: Register) -> None:
    register.say(
        same("shop/5", registered_at="2020-01-01T00:00:00Z"),
        same("core/1", registered_at="2024-01-01T00:00:00Z"),
    )
    register.match()
    assert register.person("core/1") == "shop/5"
    pair = register.pair("core/1", "shop/5")
    register.accept(pair.id, survivor="core/1", reason="基幹に合わせる")
    assert register.person("shop/5") == "core/1"
    assert "merged_into" not in register.content("core/1")


def test_rules_and_authority_say_whose_customers_survive(register: Register, tmp_path: Path) -> None:
    (tmp_path / "core-main.yaml").write_text(
        "system: core-main\nconnector: file_exchange\ntitle: Core\nconstants: {channel: core}\n"
        "authority: {customer: core-main}\n"
    )
    register.systems = load_systems([tmp_path])
    assert register.systems.faults == []
    assert Survivors.of(["crm"], register.systems).scopes == ("crm", "core", "core-main")
    register.say(same("shop/5", registered_at="2020-01-01T00:00:00Z"), same("core/1"))
    register.match()
    assert register.person("shop/5") == "core/1"


def test_a_deleted_survivor_gives_way(register: Register) -> None:
    register.say(same("core/1"), same("shop/5"))
    register.match()
    with register.engine.begin() as connection:
        connection.execute(text("UPDATE entity SET deleted_at = now(), version = 3 WHERE key = 'core/1'"))
        connection.execute(
            text("INSERT INTO change_feed (entity_id, kind, version, system, deleted) "
                 "SELECT id, 'customer', 3, 'core', true FROM entity WHERE key = 'core/1'")
        )  # fmt: skip
    register.match()
    assert register.person("core/1") == "shop/5"
    assert register.rows("SELECT count(*) FROM people_customer")[0][0] == 1


def test_merges_a_system_tells_of_itself_are_followed(register: Register) -> None:
    register.say(
        customer("core/1"), customer("core/2", merged_into="core/1"), customer("core/3", merged_into="core/2"),
        customer("a/1", merged_into="a/2"), customer("a/2", merged_into="a/1"), customer("a/3", merged_into="nobody"),
    )  # fmt: skip
    assert [register.person(key) for key in ("core/3", "core/2", "core/1", "a/1", "a/2", "a/3", "unknown")] == [
        "core/1", "core/1", "core/1", "a/1", "a/2", "a/3", "unknown",
    ]  # fmt: skip


def test_a_persons_customers_as_one(register: Register) -> None:
    register.say(
        same(
            "core/1",
            rank="silver",
            consents=[YES, {"channel": "dm", "granted": True}],
            email="core@example.jp",
        ),
        same("shop/5", rank="gold", birth="1980-01-01", consents=[NO], email="shop@example.jp"),
    )
    register.match()
    with register.engine.connect() as connection:
        view = merged_view(connection, "shop/5", {})
        owned = merged_view(connection, "core/1", {"rank": "shop"})
    assert (view["key"], view["rank"], view["birth_date"]) == ("core/1", "silver", "1980-01-01")
    assert view["emails"] == ["core@example.jp", "shop@example.jp"]
    assert view["phones"] == [PHONE]
    assert {each["channel"]: each["granted"] for each in view["consents"]} == {"mail": False, "dm": True}
    assert "merged_into" not in view
    assert owned["rank"] == "gold"


def test_explain_says_that_a_link_came_from_the_hub(register: Register) -> None:
    register.say(same("core/1"), same("shop/5", consents=[NO]))
    register.match()
    with register.engine.begin() as connection:  # the page all of them came in
        connection.execute(
            text(
                "INSERT INTO intake (system, flow, source, media_type, sha256, size) VALUES ('s', 'f', 's', 'm', '', 0)"
            )
        )
    with Hub(register.engine, register.systems, Connectors()) as hub:
        origins = {origin.field: origin.system for origin in explain(hub, "customer", "shop/5").origins}
    assert (origins["merged_into"], origins["name.full"]) == ("hub", "shop")


# ---------------------------------------------------------------- decisions


def test_who_when_and_why_is_kept(register: Register) -> None:
    register.say(same("core/1"), same("core/2"))
    register.match()
    pair = register.pair("core/1", "core/2").id
    register.accept(pair, by="hanako", reason="電話で確認")
    register.undo(pair, by="taro", reason="別人だった")
    with register.engine.connect() as connection:
        person = show(connection, register.rules, "core/1", {})
    assert [(each.action, each.by, each.reason) for each in person.rejected[0].decisions] == [
        ("accepted", "hanako", "電話で確認"), ("undone", "taro", "別人だった"),
    ]  # fmt: skip
    assert person.rejected[0].agree == ("name", "kana", "phone")


def test_a_rejected_pair_never_comes_back_but_may_be_accepted(register: Register) -> None:
    register.say(same("core/1"), same("core/2"))
    register.match()
    pair = register.pair("core/1", "core/2").id
    register.reject(pair)
    register.say(same("core/2", note="x", email="t@example.jp"))
    register.match()
    assert waiting(register) == []
    assert register.pair("core/1", "core/2").state == "rejected"
    register.accept(pair, reason="やはり同じ")
    assert register.person("core/2") == "core/1"


def test_who_was_parted_is_not_joined_through_others(register: Register) -> None:
    register.say(same("core/1"), same("core/2"), same("core/3"))
    register.match()
    register.reject(register.pair("core/1", "core/3").id)
    register.accept(register.pair("core/1", "core/2").id)
    assert waiting(register) == []
    with pytest.raises(CannotDecide) as error:
        register.accept(register.pair("core/2", "core/3").id)
    assert f"Pair {register.pair('core/1', 'core/3').id} says" in error.value.en


def test_decisions_that_make_no_sense_are_refused(register: Register) -> None:
    register.say(same("core/1"), same("core/2"), same("core/3"))
    register.match()
    first, second, third = (register.pair(*keys).id for keys in
                            (("core/1", "core/2"), ("core/2", "core/3"), ("core/1", "core/3")))  # fmt: skip
    with pytest.raises(NoSuchPair):
        register.accept(999)
    with pytest.raises(CannotDecide, match=r"not linked|つながっていない"):
        register.undo(first)
    with pytest.raises(CannotDecide):
        register.accept(first, survivor="core/3")
    register.accept(first)
    register.accept(second)
    for decide in (lambda: register.accept(first), lambda: register.accept(third), lambda: register.reject(first),
                   lambda: register.reject(third)):  # fmt: skip
        with pytest.raises(CannotDecide):
            decide()
    register.undo(second)
    with pytest.raises(CannotDecide):
        register.reject(second)


def test_a_deleted_customer_is_linked_to_nobody(register: Register) -> None:
    register.say(same("core/1"), same("core/2"))
    register.match()
    with register.engine.begin() as connection:
        connection.execute(text("UPDATE entity SET deleted_at = now() WHERE key = 'core/2'"))
    with pytest.raises(CannotDecide):
        register.accept(register.pair("core/1", "core/2").id)


def test_links_may_be_taken_back_in_any_order(register: Register) -> None:
    register.say(*(same(f"core/{n}") for n in range(1, 5)))
    register.match()
    first, second, third = (register.pair(f"core/{n}", f"core/{n + 1}").id for n in range(1, 4))
    for pair in (first, second, third):
        register.accept(pair)
    assert {register.person(f"core/{n}") for n in range(1, 5)} == {"core/1"}
    register.undo(second)
    assert [register.person(f"core/{n}") for n in range(1, 5)] == ["core/1", "core/1", "core/3", "core/3"]


# ---------------------------------------------------------------- forgetting


def test_forgetting_leaves_nothing_and_frees_whoever_was_linked(register: Register) -> None:
    register.say(same("core/1", consents=[NO]), same("shop/5", consents=[YES]), same("mall/9"))
    register.match()
    register.accept(register.pair("core/1", "shop/5").id, reason="山田さんに電話で確認")
    before = register.content("shop/5")
    assert before["merged_into"] == "core/1"
    entity_id = register.rows("SELECT id FROM entity WHERE key = 'core/1'")[0].id
    with register.engine.begin() as connection:
        assert forget(connection, [entity_id]) == 3
        assert forget(connection, []) == 0
    assert register.content("shop/5") == same("shop/5", consents=[YES])
    assert register.content("core/1") == same("core/1", consents=[NO])
    for table, column in (("people_customer", "entity_id"), ("people_block", "entity_id"),
                          ("people_member", "entity_id"),
                          ("people_pair", "one_id"), ("people_pair", "other_id")):  # fmt: skip
        assert register.rows(f"SELECT count(*) FROM {table} WHERE {column} = {entity_id}")[0][0] == 0
    assert register.rows("SELECT count(*) FROM people_decision")[0][0] == 0
    assert register.pair("mall/9", "shop/5").state == "open"


def test_forgetting_needs_an_announced_writer(register: Register) -> None:
    from hub.feed import enter_feed

    register.say(same("core/1"), same("shop/5"))
    register.match()
    ids = [row.id for row in register.rows("SELECT id FROM entity")]
    with register.engine.begin() as connection:
        connection.execute(text("UPDATE entity SET updated_at = now()"))
        with pytest.raises(RuntimeError):
            forget(connection, ids)
        connection.rollback()
    with register.engine.begin() as connection:
        enter_feed(connection)
        connection.execute(text("UPDATE entity SET updated_at = now()"))
        assert forget(connection, ids) == 3
