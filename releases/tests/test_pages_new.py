"""The form of a new release."""

import pytest

from delivr.effects.models import Effect
from delivr.tests import factories
from integrations.choices import Verification
from releases.models import Release
from releases.tests.pages import message_of, text_of

pytestmark = pytest.mark.on_sqlite

NEW = "/releases/new"


def test_everything_verified_is_chosen_at_first(member, setup):
    old = factories.PlayStoreFactory(tenant=setup.tenant, verification_status="INVALID")
    endpoint = factories.EndpointFactory(tenant=setup.tenant)
    form = member.get(NEW).context["form"]
    assert form["scm"].initial == setup.scm.pk
    assert form["targets"].initial == [setup.ios.pk, setup.android.pk]
    assert form["pipelines"].initial == [setup.ios_job.pk, setup.android_job.pk]
    assert form["communications"].initial == [setup.slack.pk, endpoint.pk]
    assert form["ticket"].initial == setup.jira.pk
    assert form.options["targets"].closed() == {old.pk}


def test_last_releases_choice_is_chosen_again(member, setup):
    member.post(
        NEW,
        setup.form(targets=[setup.ios.pk], pipelines=[setup.ios_job.pk], communications=[]),
    )
    form = member.get(NEW).context["form"]
    assert form["targets"].initial == [setup.ios.pk]
    assert form["pipelines"].initial == [setup.ios_job.pk]
    assert form["communications"].initial == []


def test_last_choice_that_is_gone_gives_way_to_what_is_verified(member, setup):
    old = factories.ScmFactory(tenant=setup.tenant)
    release = setup.release()
    release.scm = old
    release.save()
    old.verification_status = Verification.INVALID
    old.save()
    assert member.get(NEW).context["form"]["scm"].initial == setup.scm.pk


def test_what_is_not_verified_cannot_be_ticked_and_says_why(member, setup):
    factories.PlayStoreFactory(tenant=setup.tenant, verification_status="INVALID")
    html = member.get(NEW).content.decode()
    assert html.count(" disabled") == 1
    assert "Not available: verify it under Integrations first." in html


def test_optional_family_without_connections_is_not_asked_for(member, tenant):
    scm = factories.ScmFactory(tenant=tenant)
    factories.PipelineFactory(tenant=tenant, scm=scm)
    form = member.get(NEW).context["form"]
    assert "communications" not in form.fields
    assert "ticket" not in form.fields


def test_without_connections_the_form_leads_to_the_setup(member, tenant):
    text = text_of(member.get(NEW))
    assert "Connect your tools first" in text
    assert "Create release" not in text


def test_release_is_created_and_shown(member, setup):
    response = member.post(NEW, setup.form(), follow=True)
    release = Release.objects.get()
    assert response.redirect_chain == [(f"/releases/{release.pk}", 302)]
    assert message_of(response) == ""  # its page is the answer
    assert release.branch == "release/1.5.0"
    assert release.created_by == response.wsgi_request.user
    assert release.targets.count() == release.pipelines.count() == 2
    assert Effect.objects.count() == 3  # two epics, one message


def test_every_error_is_shown_at_its_field(member, setup):
    other = factories.ScmFactory(tenant=setup.tenant)
    setup.android.verification_status = Verification.INVALID
    setup.android.save()
    response = member.post(NEW, setup.form(version="", branch="a..b", scm=other.pk))
    errors = response.context["form"].errors
    assert errors["version"] == ["This field is required."]
    assert "not verified" in errors["targets"][0]
    assert len(errors["pipelines"]) == 2
    html = response.content.decode()
    assert 'id="id_version_error"' in html
    assert 'id="id_pipelines_error"' in html
    assert not Release.objects.exists()


def test_illegal_branch_is_shown_at_the_branch(member, setup):
    response = member.post(NEW, setup.form(branch="a..b"))
    assert response.context["form"].errors == {"branch": ["This is not a valid git branch name."]}


def test_pipeline_without_its_target_is_refused_in_words(member, setup):
    response = member.post(NEW, setup.form(targets=[setup.ios.pk]))
    assert "a target that this release does not have" in text_of(response)
    assert not Release.objects.exists()


def test_taken_version_is_shown_at_the_version(member, setup):
    setup.release("1.5.0")
    response = member.post(NEW, setup.form(version="1.5.0"))
    assert response.context["form"].errors == {
        "version": ["Release 1.5.0 of com.dream11.app already exists."]
    }
    assert Release.objects.count() == 1


def test_form_sent_twice_leads_to_the_one_release(member, setup):
    first = member.post(NEW, setup.form())
    second = member.post(NEW, setup.form())
    assert second["Location"] == first["Location"]
    assert Release.objects.count() == 1


def test_typed_values_survive_an_error(member, setup):
    response = member.post(
        NEW, setup.form(version="1 5", branch="hotfix", targets=[setup.ios.pk], ticket="")
    )
    form = response.context["form"]
    assert form["branch"].value() == "hotfix"
    assert form["targets"].value() == [setup.ios.pk]
    assert form["ticket"].value() == ""


def test_another_workspaces_connection_is_no_choice(member, setup):
    foreign = factories.AppStoreFactory()
    unknown = member.post(NEW, setup.form(targets=["target_appstore_unknown"]))
    strange = member.post(NEW, setup.form(targets=[foreign.pk]))
    [words] = strange.context["form"].errors["targets"]
    [same] = unknown.context["form"].errors["targets"]
    assert words.replace(foreign.pk, "") == same.replace("target_appstore_unknown", "")
    assert not Release.objects.exists()


@pytest.mark.parametrize("version", ["\x00", "<b>", "1.0\n2", "x" * 65, "ü", ".1"])
def test_strange_version_is_refused_in_words(member, setup, version):
    response = member.post(NEW, setup.form(version=version))
    assert response.context["form"].errors["version"]
    assert not Release.objects.exists()
    assert "<b>" not in response.content.decode().partition("<main")[2]


def test_viewer_sees_the_form_explained_and_may_not_post(viewer, setup):
    assert "Your role can view" in text_of(viewer.get(NEW))
    assert viewer.post(NEW, setup.form()).status_code == 403
    assert not Release.objects.exists()


def test_name_of_a_connection_is_escaped(member, setup):
    setup.ios.display_name = "<img src=x onerror=alert(1)>"
    setup.ios.save()
    html = member.get(NEW).content.decode()
    assert "<img src=x" not in html
    assert "&lt;img src=x" in html


def test_many_connections_cost_no_more_queries(member, setup, django_assert_max_num_queries):
    for _ in range(20):
        factories.PipelineFactory(tenant=setup.tenant, scm=setup.scm, target=setup.ios)
        factories.AppStoreFactory(tenant=setup.tenant)
    with django_assert_max_num_queries(12):
        member.get(NEW)


def test_the_next_versions_are_one_click_away_beside_the_last_one(member, setup):
    setup.release("1.5.0")
    answer = member.get(NEW)
    assert answer.context["form"]["version"].value() == "1.6.0"
    text = text_of(answer)
    assert "As shown in the stores. The newest release is 1.5.0." in text
    assert "1.6.0 minor 1.5.1 patch 2.0.0 major" in text
    assert 'data-fill="id_version" data-value="1.5.1"' in " ".join(answer.content.decode().split())


def test_suggestions_stay_where_the_form_came_back(member, setup):
    setup.release("1.5.0")
    text = text_of(member.post(NEW, setup.form(version="1.5.0")))
    assert "1.6.0 minor" in text


def test_targets_and_pipelines_say_their_platform(member, setup):
    text = text_of(member.get(NEW))
    targets, pipelines = (text.partition(name)[2] for name in ("Targets", "Pipelines"))
    for part in (targets.partition("Pipelines")[0], pipelines.partition("Messages")[0]):
        assert part.index("iOS Verified") < part.index("Android Verified")
