"""Which type an epic has, and what goes into the fields that a project asks for."""

import pytest

from integrations.providers.base import Level, Outcome, ProviderError
from integrations.providers.jira.tests.answers import (
    API,
    FIELDS,
    TYPES,
    create,
    failed,
    make,
    payload,
)
from integrations.providers.tests.wire import Reply

pytestmark = pytest.mark.usefixtures("jira_is_here")


# --- The type ------------------------------------------------------------------------------------


def types(*names):
    """Types at the level of epics: a name, or a name and the untranslated one."""
    pairs = [name if isinstance(name, tuple) else (name, name) for name in names]
    found = [
        {"id": str(10001 + n), "name": name, "untranslatedName": plain, "hierarchyLevel": 1}
        for n, (name, plain) in enumerate(pairs)
    ]
    return Reply({"startAt": 0, "maxResults": 50, "total": len(found), "issueTypes": found})


@pytest.fixture
def every_type_has_fields(wire, jira_is_here):
    for n in range(3):
        wire.routes[f"{TYPES}/{10001 + n}"] = Reply(payload("createmeta_fields__team_managed"))


@pytest.mark.parametrize(
    ("offered", "wish", "chosen"),
    [
        (["Vorhaben"], "", "10001"),
        (["Program Epic", "Epic"], "", "10002"),
        (["Feature", "EPIC"], "", "10002"),
        ([("Programme", "Program"), ("Épopée", "Epic")], "", "10002"),
        (["Program Epic", "Épopée"], "Épopée", "10002"),
        (["Program Epic", "Épopée"], "program epic", "10001"),
        (["Program Epic", "Épopée"], "10002", "10002"),
        (["Epic", "Épopée"], "Épopée", "10002"),
    ],
)
@pytest.mark.usefixtures("every_type_has_fields")
def test_the_projects_own_type_is_taken(wire, offered, wish, chosen):
    wire.routes[TYPES] = types(*offered)
    create(make(wire, epic_type=wish))
    assert wire.last(f"{API}/issue").json["fields"]["issuetype"] == {"id": chosen}


@pytest.mark.parametrize(
    ("offered", "wish"),
    [
        (["Program Epic", "Épopée"], ""),
        (["Epic", "EPIC"], ""),
        (["Program Epic", "Épopée"], "Story"),
        (["Vorhaben"], "Epic"),
    ],
)
def test_an_ambiguous_type_has_to_be_chosen(wire, offered, wish):
    wire.routes[TYPES] = types(*offered)
    jira = make(wire, epic_type=wish)
    check = failed(jira.verify())["issue_type"]
    assert (check.code, check.level) == ("choose_epic_type", Level.ERROR)
    assert all(name in check.message for name in offered)
    assert "Epic type" in check.hint
    with pytest.raises(ProviderError) as failure:
        create(jira)
    assert failure.value.outcome is Outcome.REFUSED
    assert wire.count(f"{API}/issue") == 0


def test_epic_level_types_are_offered(wire, jira):
    wire.routes[TYPES] = types("Program Epic", "Épopée")
    assert [option.value for option in jira.epic_types()] == ["Program Epic", "Épopée"]


# --- Fields --------------------------------------------------------------------------------------


def field(name, schema, *, values=None, **more):
    found = {
        "fieldId": "customfield_10050",
        "name": name,
        "required": True,
        "hasDefaultValue": False,
        "schema": {"custom": "x:y", "customId": 10050, **schema},
        **more,
    }
    return found if values is None else {**found, "allowedValues": values}


def asks_for(wire, *fields):
    usual = payload("createmeta_fields__team_managed")
    found = [*usual["fields"], *fields]
    wire.routes[FIELDS] = Reply({**usual, "fields": found, "total": len(found)})


def sent(wire):
    return wire.last(f"{API}/issue").json["fields"].get("customfield_10050")


MOBILE, WEB = {"id": "1", "value": "Mobile"}, {"id": "2", "value": "Web"}
IOS, ANDROID = {"id": "11", "value": "iOS"}, {"id": "12", "value": "Android"}
TEAM = {"type": "option"}
TEXT_AREA = "com.atlassian.jira.plugin.system.customfieldtypes:textarea"


@pytest.mark.parametrize(
    ("schema", "values", "value", "shown"),
    [
        (TEAM, [MOBILE], {"id": "1"}, "Team: Mobile"),
        (TEAM, [MOBILE, {**WEB, "disabled": True}], {"id": "1"}, "Team: Mobile"),
        ({"type": "array", "items": "option"}, [MOBILE], [{"id": "1"}], "Team: Mobile"),
        (
            {"type": "array", "items": "version"},
            [{"id": "5", "name": "1.5"}, {"id": "4", "name": "1.4", "archived": True}],
            [{"id": "5"}],
            "Team: 1.5",
        ),
        (
            {"type": "option-with-child"},
            [{**MOBILE, "children": [IOS]}],
            {"id": "1", "child": {"id": "11"}},
            "Team: Mobile > iOS",
        ),
        ({"type": "option-with-child"}, [MOBILE], {"id": "1"}, "Team: Mobile"),
    ],
)
def test_a_field_with_one_value_that_is_allowed_is_filled(wire, jira, schema, values, value, shown):
    asks_for(wire, field("Team", schema, values=values))
    checks = {check.name: check for check in jira.verify()}
    assert checks["field:customfield_10050"].ok
    assert checks["field:customfield_10050"].message.startswith(shown)
    create(jira)
    assert sent(wire) == value


@pytest.mark.parametrize(
    ("schema", "values", "text", "value"),
    [
        (TEAM, [MOBILE, WEB], "web", {"id": "2"}),
        (TEAM, [MOBILE, WEB], "2", {"id": "2"}),
        ({"type": "priority"}, [{"id": "3", "name": "High"}], "High", {"id": "3"}),
        (
            {"type": "array", "items": "option"},
            [MOBILE, WEB],
            "Web, Mobile",
            [{"id": "2"}, {"id": "1"}],
        ),
        (
            {"type": "array", "items": "component"},
            [{"id": "7", "name": "iOS, Android"}, {"id": "8", "name": "iOS"}],
            "iOS, Android",
            [{"id": "7"}],
        ),
        ({"type": "array", "items": "string"}, None, "one, two", ["one", "two"]),
        ({"type": "array", "items": "user"}, None, "5a:b", [{"accountId": "5a:b"}]),
        (
            {"type": "option-with-child"},
            [{**MOBILE, "children": [IOS, ANDROID]}, WEB],
            "Mobile > Android",
            {"id": "1", "child": {"id": "12"}},
        ),
        ({"type": "option-with-child"}, [MOBILE, WEB], "Web", {"id": "2"}),
        ({"type": "string"}, None, "4711", "4711"),
        ({"type": "number"}, None, "4711", 4711),
        ({"type": "number"}, None, "0.5", 0.5),
        ({"type": "date"}, None, "2026-11-22", "2026-11-22"),
        (
            {"type": "datetime"},
            None,
            "2026-11-22T08:00:00+01:00",
            "2026-11-22T08:00:00.000+0100",
        ),
        ({"type": "user"}, None, "5a:b", {"accountId": "5a:b"}),
        ({"type": "group"}, None, "captains", {"name": "captains"}),
        ({"type": "version"}, None, "1.5", {"name": "1.5"}),
        ({"type": "issuelink"}, None, "MOBILE-1", {"key": "MOBILE-1"}),
        ({"type": "team"}, None, "11-22", "11-22"),
    ],
)
@pytest.mark.parametrize("name", ["Team", "TEAM ", "customfield_10050"])
def test_a_field_is_filled_with_what_the_connection_gives(wire, schema, values, text, value, name):
    asks_for(wire, field("Team", schema, values=values))
    jira = make(wire, fields={name: text})
    assert failed(jira.verify()) == {}
    create(jira)
    assert sent(wire) == value


def test_a_text_of_several_lines_is_a_document(wire):
    asks_for(wire, field("Why", {"type": "string", "custom": TEXT_AREA}))
    create(make(wire, fields={"Why": "one\ntwo"}))
    assert sent(wire)["type"] == "doc"


def test_what_the_connection_gives_goes_also_into_a_field_that_is_not_required(wire):
    asks_for(wire, field("Team", TEAM, values=[MOBILE, WEB], required=False))
    create(make(wire, fields={"Team": "Web"}))
    assert sent(wire) == {"id": "2"}


def test_labels_of_the_connection_stand_beside_our_own(wire):
    create(make(wire, fields={"labels": "two words, mobile"}))
    labels = wire.last(f"{API}/issue").json["fields"]["labels"]
    assert labels == ["delivr-eff_sought", "release", "two-words", "mobile"]


@pytest.mark.parametrize(
    ("schema", "values", "takes"),
    [
        (TEAM, [MOBILE, WEB], "Team (Mobile, Web)"),
        ({"type": "option-with-child"}, [{**MOBILE, "children": [IOS, ANDROID]}], "Mobile > iOS"),
        ({"type": "string"}, None, "Team (a text)"),
        ({"type": "number"}, None, "Team (a number)"),
        ({"type": "array", "items": "user"}, None, "separated by commas"),
        ({"type": "sd-approvals"}, None, "Team (not from here)"),
        (TEAM, [{"id": str(n), "value": f"T{n}"} for n in range(40)], "T7 … (40 values)"),
    ],
)
def test_a_required_field_without_a_value_is_named_with_what_it_accepts(
    wire, jira, schema, values, takes
):
    asks_for(wire, field("Team", schema, values=values))
    check = failed(jira.verify())["fields"]
    assert (check.code, check.level) == ("required_fields", Level.ERROR)
    assert takes in check.message
    with pytest.raises(ProviderError) as failure:
        create(jira)
    assert (failure.value.code, failure.value.outcome) == ("required_fields", Outcome.REFUSED)
    assert wire.count(f"{API}/issue") == 0


@pytest.mark.parametrize(
    ("schema", "values", "text", "words"),
    [
        (TEAM, [MOBILE, WEB], "Desktop", "“Desktop” is not allowed (Mobile, Web)"),
        (TEAM, [MOBILE, {"id": "9", "value": "MOBILE"}], "mobile", "“mobile” is not allowed"),
        ({"type": "option-with-child"}, [{**MOBILE, "children": [IOS]}], "Mobile > Web", "“Web”"),
        ({"type": "number"}, None, "many", "a number is needed"),
        ({"type": "number"}, None, "nan", "a number is needed"),
        ({"type": "date"}, None, "22.11.2026", "a date is needed"),
        ({"type": "datetime"}, None, "2026-11-22", "a time is needed"),
        ({"type": "any"}, None, "x", "cannot be filled from here"),
    ],
)
def test_a_value_that_the_field_does_not_accept_is_reported(wire, schema, values, text, words):
    asks_for(wire, field("Team", schema, values=values))
    jira = make(wire, fields={"Team": text})
    check = failed(jira.verify())["fields"]
    assert check.code == "wrong_field"
    assert words in check.message
    with pytest.raises(ProviderError) as failure:
        create(jira)
    assert failure.value.code == "wrong_field"
    assert wire.count(f"{API}/issue") == 0


def test_a_name_that_is_not_on_the_screen_is_a_warning_and_left_out(wire):
    jira = make(wire, fields={"Gone": "x", "summary": "mine"})
    check = failed(jira.verify())["unused_fields"]
    assert check.level is Level.WARNING
    assert "Gone, summary" in check.message
    create(jira)
    assert wire.last(f"{API}/issue").json["fields"]["summary"] == "Release 1.5.0"


@pytest.mark.parametrize("odd", [None, 7, "x", [], {}, [None], [7], [{"id": None}], [{"id": {}}]])
@pytest.mark.parametrize("where", ["allowedValues", "schema", "name", "fieldId"])
def test_unexpected_metadata_is_handled(wire, jira, where, odd):
    asks_for(wire, {**field("Team", TEAM, values=[MOBILE, WEB]), where: odd})
    codes = {check.code for check in jira.verify()}
    assert "unexpected" not in codes
