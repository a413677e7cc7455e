"""Who may do what at which route: the table that `test_walk.py` checks every route against.

A line is `route: at(method=who may)`; a method that is not listed is allowed to nobody. The table
does not say whose objects: those of another workspace always count as unknown.

For a new route, add a line in the notation of `get_resolver()`. A new kind of parameter
(`<str:thing_id>`) also needs a row of it in `sample_workspace.py`: `SampleWorkspace.ids`.
"""

from __future__ import annotations

from collections.abc import Mapping

# Who may, from the least to the most.
EVERYBODY, SIGNED_IN, VIEWER, MEMBER, ADMIN, OWNER = range(6)
PROVEN = 7  # needs more than the address: a signature, or the right body; nobody here has it
STAFF = 8

RANKS = {"viewer": VIEWER, "member": MEMBER, "admin": ADMIN, "owner": OWNER}


def at(
    get: int | None = None,
    post: int | None = None,
    patch: int | None = None,
    delete: int | None = None,
    options: int | None = None,
) -> Mapping[str, int]:
    every = {"GET": get, "HEAD": get, "POST": post, "PATCH": patch, "DELETE": delete}
    return {method: who for method, who in {**every, "OPTIONS": options}.items() if who is not None}


CONNECTIONS = at(get=VIEWER, post=ADMIN)
CONNECTION = at(get=VIEWER, patch=ADMIN, delete=ADMIN)
ACT = at(post=ADMIN)
_FAMILY = "<family:family>"
_ONE = f"integrations/{_FAMILY}/<str:connection_id>"
_ENDPOINT = "integrations/communication/<str:endpoint_id>"
_ENDPOINT_ACTS = ("test-event", "rotate-signing-secret", "turn-on")
_MESSAGES = "settings/messages/<str:connection_id>"
FAMILIES = ("scm", "targets", "pipelines", "communication", "tickets", "health")

TABLE: dict[str, Mapping[str, int]] = {
    # --- Of the installation ---
    "livez": at(get=EVERYBODY),
    "readyz": at(get=EVERYBODY),
    "metrics": at(get=PROVEN),  # METRICS_TOKEN
    "design": at(get=STAFF),
    "api/v1/schema": at(get=EVERYBODY, options=EVERYBODY),
    "api/v1/docs": at(get=EVERYBODY),
    "api/v1/docs/guide": at(get=EVERYBODY),
    "api/v1/docs/<slug:group>": at(get=EVERYBODY),
    "^(?P<path>api/v1/docs.*)/$": at(),  # leads to the page without the slash, if there is one
    "^api/(?P<path>.*)$": at(),
    "settings": at(get=EVERYBODY),  # only leads to settings/
    "<path:path>/": at(),  # leads to the page without the slash, if there is one
    # --- Settings of a workspace ---
    "settings/": at(get=VIEWER),
    "settings/members/<slug:member_id>/role": at(post=OWNER),
    "settings/members/<slug:member_id>/remove": at(post=OWNER),
    "settings/leave": at(post=VIEWER),
    "settings/invitations": at(post=OWNER),
    "settings/invitations/<slug:invitation_id>/send": at(post=OWNER),
    "settings/invitations/<slug:invitation_id>/revoke": at(post=OWNER),
    "settings/workspace": at(get=OWNER, post=OWNER),
    "settings/workspace/delete": at(post=OWNER),
    "settings/tokens": at(get=OWNER, post=OWNER),
    "settings/tokens/<int:token_id>/revoke": at(post=OWNER),
    "settings/messages": at(get=VIEWER),
    f"{_MESSAGES}": at(post=ADMIN),
    f"{_MESSAGES}/rules": at(post=ADMIN),
    f"{_MESSAGES}/groups": at(post=ADMIN),
    f"{_MESSAGES}/preview": at(get=VIEWER),
    f"{_MESSAGES}/test": at(get=VIEWER, post=ADMIN),
    "settings/chat-accounts": at(get=VIEWER, post=VIEWER),
    "settings/notifications": at(get=VIEWER, post=VIEWER),
    "settings/releases": at(get=ADMIN, post=ADMIN),
    "settings/audit": at(get=VIEWER),
    "settings/audit/export.<str:extension>": at(get=ADMIN),
    "settings/security": at(get=OWNER, post=OWNER),
    "settings/switch": at(post=PROVEN),  # must name a workspace of one's own
    "settings/new-workspace": at(get=SIGNED_IN, post=SIGNED_IN),
    # --- Pages ---
    "": at(get=VIEWER),
    "setup": at(get=VIEWER),
    "setup/done": at(get=VIEWER),
    f"setup/{_FAMILY}": at(get=VIEWER, post=ADMIN),
    f"setup/{_FAMILY}/skip": at(post=ADMIN),
    "integrations": at(get=VIEWER),
    f"integrations/{_FAMILY}/new": at(get=ADMIN, post=ADMIN),
    f"integrations/{_FAMILY}/options": at(post=ADMIN),
    "integrations/communication/<str:connection_id>/recipient": at(post=ADMIN),
    # Links in emails: signed.
    "unsubscribe/<str:token>": at(get=PROVEN, post=PROVEN),
    "unsubscribe/member/<str:token>": at(get=PROVEN, post=PROVEN),
    f"integrations/{_FAMILY}/app": at(get=ADMIN, post=ADMIN),
    f"integrations/{_FAMILY}/app/registered": at(get=ADMIN),
    f"integrations/{_FAMILY}/app/installed": at(get=ADMIN),
    _ONE: at(get=VIEWER, post=ADMIN),
    f"{_ONE}/verify": at(post=ADMIN),
    f"{_ONE}/move": at(post=ADMIN),
    f"{_ONE}/disconnect": at(post=ADMIN),
    "integrations/pipelines/<str:connection_id>/rotate-secret": at(post=ADMIN),
    "integrations/pipelines/<str:connection_id>/give-to-sandbox": at(post=ADMIN),
    "integrations/targets/<str:connection_id>/webhook-secret": at(post=ADMIN),
    "integrations/targets/<str:connection_id>/webhook-to-sandbox": at(post=ADMIN),
    "integrations/pipelines/<str:connection_id>/test-build": at(get=VIEWER, post=ADMIN),
    "integrations/pipelines/<str:connection_id>/test-build/cancel": at(post=ADMIN),
    f"{_ENDPOINT}/log": at(get=VIEWER),
    **{f"{_ENDPOINT}/{act}": at(post=ADMIN) for act in _ENDPOINT_ACTS},
    f"{_ENDPOINT}/log/<str:attempt_id>/resend": at(post=ADMIN),
    "releases": at(get=VIEWER),
    "palette": at(get=VIEWER),
    "integrations/pipelines/<str:connection_id>/listening": at(get=VIEWER),
    "releases/new": at(get=VIEWER, post=MEMBER),
    "releases/new/preview": at(post=MEMBER),
    "releases/<slug:release_id>": at(get=VIEWER),
    "releases/<slug:release_id>/live": at(get=VIEWER),
    "releases/<slug:release_id>/changes": at(get=VIEWER),
    "releases/<slug:release_id>/builds": at(post=MEMBER),
    "releases/<slug:release_id>/cancel": at(post=MEMBER),
    "releases/<slug:release_id>/mark": at(post=MEMBER),
    "releases/<slug:release_id>/mute": at(post=MEMBER),
    "releases/<slug:release_id>/adopt": at(post=ADMIN),
    "releases/<slug:release_id>/try-now": at(post=MEMBER),
    "builds/<slug:build_id>/cancel": at(post=MEMBER),
    "builds/<slug:build_id>/force-cancel": at(post=MEMBER),
    "builds/<slug:build_id>/artifacts/<slug:artifact_key>": at(get=MEMBER),
    "insights": at(get=VIEWER),
    "insights.csv": at(get=VIEWER),
    "activity": at(get=VIEWER),
    "activity/live": at(get=VIEWER),
    "activity/polled": at(get=VIEWER),
    "activity/effects/<slug:effect_id>": at(get=VIEWER),
    "activity/effects/<slug:effect_id>/retry": at(post=ADMIN),
    "activity/effects/<slug:effect_id>/cancel": at(post=ADMIN),
    "activity/effects/<slug:effect_id>/adopt": at(post=ADMIN),
    "activity/received": at(get=VIEWER),
    "activity/received/live": at(get=VIEWER),
    "activity/received/<slug:delivery_id>": at(get=VIEWER),
    "activity/received/<slug:delivery_id>/replay": at(post=ADMIN),
    "releases/<slug:release_id>/preflight": at(post=MEMBER),
    "releases/<slug:release_id>/submit/<slug:target_id>": at(get=VIEWER, post=MEMBER),
    "submissions/<slug:submission_id>": at(post=MEMBER),
    # --- API ---
    "api/v1/setup": at(get=VIEWER),
    "api/v1/members": at(get=VIEWER),
    "api/v1/members/<str:member_id>": at(patch=OWNER, delete=OWNER),
    "api/v1/invitations": at(get=VIEWER, post=OWNER),
    "api/v1/invitations/<str:invitation_id>": at(delete=OWNER),
    "api/v1/invitations/<str:invitation_id>/send": at(post=OWNER),
    "api/v1/tokens": at(get=OWNER, post=OWNER),
    "api/v1/tokens/<str:token_key>": at(delete=OWNER),
    **{f"api/v1/integrations/{family}": CONNECTIONS for family in FAMILIES},
    **{f"api/v1/integrations/{family}/<str:connection_id>": CONNECTION for family in FAMILIES},
    **{f"api/v1/integrations/{family}/<str:connection_id>/verify": ACT for family in FAMILIES},
    "api/v1/integrations/pipelines/<str:connection_id>/rotate-webhook-secret": ACT,
    "api/v1/integrations/targets/<str:connection_id>/rotate-webhook-secret": ACT,
    "api/v1/integrations/communication/<str:connection_id>/rules": at(get=VIEWER, patch=ADMIN),
    "api/v1/integrations/communication/<str:connection_id>/samples": at(get=VIEWER),
    "api/v1/integrations/communication/<str:connection_id>/test-messages": ACT,
    "api/v1/integrations/pipelines/<str:connection_id>/test-builds": CONNECTIONS,
    f"api/v1/{_ENDPOINT}/attempts": at(get=VIEWER),
    f"api/v1/{_ENDPOINT}/attempts/<str:attempt_id>/resend": ACT,
    **{f"api/v1/{_ENDPOINT}/{act}": ACT for act in _ENDPOINT_ACTS},
    "api/v1/test-builds/<str:test_build_id>": at(get=VIEWER),
    "api/v1/test-builds/<str:test_build_id>/cancel": ACT,
    "api/v1/releases": at(get=VIEWER, post=MEMBER),
    "api/v1/releases/<str:release_id>": at(get=VIEWER),
    "api/v1/releases/<str:release_id>/changes": at(get=VIEWER),
    "api/v1/changes": at(get=VIEWER),
    "api/v1/insights": at(get=VIEWER),
    "api/v1/release-settings": at(get=VIEWER, patch=ADMIN),
    "api/v1/releases/<str:release_id>/builds": at(post=MEMBER),
    "api/v1/releases/<str:release_id>/cancel": at(post=MEMBER),
    "api/v1/releases/<str:release_id>/marks/<str:mark>": at(post=MEMBER, delete=MEMBER),
    "api/v1/releases/<str:release_id>/mute": at(post=MEMBER, delete=MEMBER),
    "api/v1/releases/<str:release_id>/adopt": ACT,
    "api/v1/releases/<str:release_id>/try-now": at(post=MEMBER),
    "api/v1/releases/<str:release_id>/preflight": at(get=VIEWER, post=MEMBER),
    "api/v1/releases/<str:release_id>/submissions": at(post=MEMBER),
    "api/v1/submissions": at(get=VIEWER),
    "api/v1/submissions/<str:submission_id>": at(get=VIEWER),
    "api/v1/submissions/<str:submission_id>/<str:act>": at(post=MEMBER),
    "api/v1/builds/<str:build_id>/cancel": at(post=MEMBER),
    "api/v1/builds/<str:build_id>/force-cancel": at(post=MEMBER),
    "api/v1/builds/<str:build_id>/artifacts/<str:artifact_key>": at(get=MEMBER),
    "api/v1/effects": at(get=VIEWER),
    "api/v1/effects/<str:effect_id>": at(get=VIEWER),
    "api/v1/effects/<str:effect_id>/retry": ACT,
    "api/v1/effects/<str:effect_id>/cancel": ACT,
    "api/v1/effects/<str:effect_id>/adopt": ACT,
    "api/v1/webhook-deliveries": at(get=VIEWER),
    "api/v1/webhook-deliveries/<str:delivery_id>": at(get=VIEWER),
    "api/v1/webhook-deliveries/<str:delivery_id>/replay": ACT,
    "api/v1/me/notifications": at(get=VIEWER, patch=VIEWER),
    "api/v1/audit-events": at(get=VIEWER),
    # --- Webhooks: the sender signs ---
    "api/v1/webhooks/app-store/<str:target_id>": at(post=PROVEN),
    "api/v1/webhooks/jenkins": at(post=PROVEN),
    "api/v1/webhooks/jenkins/<str:pipeline_id>": at(post=PROVEN),
    "api/v1/webhooks/github/<str:pipeline_id>": at(post=PROVEN),
    "api/v1/webhooks/gitlab/<str:pipeline_id>": at(post=PROVEN),
    "api/v1/webhooks/builds/<str:pipeline_id>": at(post=PROVEN),
}

# Routes of libraries, by prefix: their own tests below say what must hold for all of them.
FOREIGN = {
    "accounts/": "django-allauth: signing in and out, one's own address and password",
    "admin/": "Django's admin: operators only",
}
