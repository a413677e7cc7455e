import pytest

from integrations.providers.jenkins.paths import full_name, normalise_job_path, path_of_task


@pytest.mark.parametrize(
    ("entered", "stored", "shown"),
    [
        ("/job/ios-prod", "/job/ios-prod", "ios-prod"),
        ("ios-prod", "/job/ios-prod", "ios-prod"),
        (" mobile/ios ", "/job/mobile/job/ios", "mobile/ios"),
        ("/mobile/ios/", "/job/mobile/job/ios", "mobile/ios"),
        ("job/mobile/job/ios/", "/job/mobile/job/ios", "mobile/ios"),
        ("/view/All/job/mobile/view/x/job/ios", "/job/mobile/job/ios", "mobile/ios"),
        ("/job/nightly%20build", "/job/nightly%20build", "nightly build"),
        ("nightly build", "/job/nightly%20build", "nightly build"),
        ("/job/app/job/release%252F1.5.0", "/job/app/job/release%252F1.5.0", "app/release/1.5.0"),
        ("app/release%2F1.5.0", "/job/app/job/release%252F1.5.0", "app/release/1.5.0"),
        ("/job/größe", "/job/gr%C3%B6%C3%9Fe", "größe"),
        ("/job/app/job/release@1.5", "/job/app/job/release%401.5", "app/release@1.5"),
        ("app/R&D", "/job/app/job/R%26D", "app/R&D"),
        ("app/fix!", "/job/app/job/fix%21", "app/fix!"),
        ("app/cost$", "/job/app/job/cost%24", "app/cost$"),
        ("/job/app/job/hotfix%252F%25231", "/job/app/job/hotfix%252F%25231", "app/hotfix/#1"),
    ],
)
def test_every_usual_way_of_writing_a_path_is_understood(entered, stored, shown):
    assert normalise_job_path(entered) == stored
    assert normalise_job_path(stored) == stored
    assert full_name(stored) == shown


@pytest.mark.parametrize(
    "entered",
    [
        "",
        "/",
        "job",
        "/job/",
        "/job/a/configure",
        "/job/a/b",
        "https://jenkins.example.com/job/a",
        "//jenkins.example.com/job/a",
        "..",
        "../a",
        "a/../b",
        "/job/..",
        "/job/%2e%2e",
        "/job/%252e%252e",
        "/job/a%2Fb",
        "/job/a%5Cb",
        "/job/a%0d%0aX: y",
        "/job/a%00",
        "/job/%ff",
        "a//b",
        "a/ /b",
        "a?b",
        "/job/a%3Fdelay=0",
        "a#b",
        "a^b",
        "a\nb",
        "a\ud800",
        "a" * 501,
    ],
)
def test_a_path_outside_the_jobs_is_refused_with_a_message(entered):
    with pytest.raises(
        ValueError, match=r"^(Enter the job|Enter only the job|The job's path|A job's name).*\.$"
    ):
        normalise_job_path(entered)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("http://internal:8080/job/mobile/job/ios/", "/job/mobile/job/ios"),
        ("https://ci.example.com/jenkins/job/ios/", "/job/ios"),
        ("https://ci.example.com/job/app/job/release%252F1.5.0/", "/job/app/job/release%252F1.5.0"),
        ("https://ci.example.com/job/matrix/os=linux/", ""),
        ("https://ci.example.com/", None),
        (None, None),
        (7, None),
    ],
)
def test_the_job_is_read_from_a_url_whatever_its_host(url, path):
    assert path_of_task(url) == path
